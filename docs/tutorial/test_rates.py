from rates import Rates


async def test_the_next_leads_when_the_leader_dies(serf_cluster, autojump_clock):
    services = {}
    for node in await serf_cluster.spawn("a", "b", "c", tags={"service": "rates"}):
        services[node.name] = Rates(node.serf)
        node.start_soon(services[node.name].run)

    a, b, c = services.values()
    await serf_cluster.until(lambda: c.number >= 5)
    assert "a" == a.leader == b.leader == c.leader

    await serf_cluster.crash("a")
    last = c.number
    await serf_cluster.until(lambda: c.number >= last + 5)
    assert "b" == b.leader == c.leader


async def test_a_newcomer_knows_the_rate_before_the_next_one(serf_cluster, autojump_clock):
    services = {}

    def serve(node):
        services[node.name] = Rates(node.serf)
        node.start_soon(services[node.name].run)

    for node in await serf_cluster.spawn("a", "b", tags={"service": "rates"}):
        serve(node)
    await serf_cluster.until(lambda: services["b"].number >= 5)

    await serf_cluster.crash("a")  # nobody leads until its failure is known ...
    for node in await serf_cluster.spawn("c", tags={"service": "rates"}):
        serve(node)
    await serf_cluster.until(lambda: services["c"].rate is not None, within=4)
    assert services["b"].rate == services["c"].rate  # ... and c knows what b knows


async def test_after_a_partition_one_leads_again(serf_cluster, autojump_clock):
    services = {}
    for node in await serf_cluster.spawn("a", "b", "c", tags={"service": "rates"}):
        services[node.name] = Rates(node.serf)
        node.start_soon(services[node.name].run)
    a, b, c = services.values()
    await serf_cluster.until(lambda: c.number >= 5)

    serf_cluster.partition(["a"], ["b", "c"])
    await serf_cluster.until(lambda: b.leader == c.leader == "b")
    assert "a" == a.leader  # two lead: each serves its own side
    serf_cluster.heal()
    await serf_cluster.until(lambda: b.leader == c.leader == "a")
    await serf_cluster.until(lambda: a.rate == b.rate == c.rate)
