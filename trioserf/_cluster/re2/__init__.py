"""Regular expressions in Go's dialect, in bounded time whoever wrote them.

Expressions come from the network, in the filters of queries.  Python's ``re`` both means
other things by some of them and may need exponential time, so they are neither translated
nor handed to it.  `parser` reads an expression into a tree, `program` makes the tree into an
automaton that is run over the text character by character, in all its states at once: the
work is at most the length of the text times the size of the automaton, both of which are
limited, and a `Budget` of steps puts an end to what is left.

Only the question "is it found somewhere" is answered, so greediness and captures, which are
read and checked, mean nothing.

Source: golang/go, src/regexp/syntax (the dialect, flags ``syntax.Perl``); Cox, "Regular
Expression Matching Can Be Simple And Fast" (2007), for the method.
"""
