"""Regular expressions in Go's dialect, in bounded time, for untrusted expressions.

Expressions come from the network, in the filters of queries.  Python's ``re`` differs in the
meaning of some of them and may need exponential time, so it is not used.  `parser` reads an
expression into a tree, `program` compiles the tree into an automaton that is run over the text
character by character, in all its states at once: the work is at most the length of the text
times the size of the automaton, both of which are limited, and a `Budget` of steps bounds the
rest.

Only the question "is it found somewhere" is answered, so greediness and captures, which are
parsed and checked, are ignored.

Source: golang/go, src/regexp/syntax (the dialect, flags ``syntax.Perl``); Cox, "Regular
Expression Matching Can Be Simple And Fast" (2007), for the method.
"""
