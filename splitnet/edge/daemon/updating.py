"""Updates of the models that a daemon runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from splitnet.bundle.signature import public_key
from splitnet.edge.adapt.choice import Choice
from splitnet.edge.config.schema import Model
from splitnet.edge.daemon.assemble import Setup, make_model, shelf_of
from splitnet.edge.daemon.way import Way
from splitnet.edge.link.connect import credentials_of
from splitnet.edge.updates.trial import try_bundle
from splitnet.edge.updates.updater import Updater, Updates
from splitnet.edge.whole import has_whole


def make_updaters(setup: Setup, switched: Callable[[], None]) -> list[Updater]:
    """One for each model that wants updates; `switched` is called once another bundle is to be used.

    Raises UsageError where a key is of no use.
    """
    config = setup.config
    servers = [(server.address, credentials_of(server)) for server in config.servers]
    found = []
    for name, section in config.models.items():
        if section.updates is None or not servers:
            continue
        public_key(section.updates.key)
        bundle = setup.models[name].bundle
        ways = [way for way in setup.ways.values() if way.model is setup.models[name]]
        choices = [_chosen(section, way) for way in ways]
        tasks = sorted({task for way in ways for task in way.section.tasks})
        updates = Updates(
            model=name,
            bundle=bundle,
            shelf=shelf_of(config, name),
            key=section.updates.key,
            interval=section.updates.interval,
            edge_only=not has_whole(bundle),
            trial=partial(try_bundle, make=partial(make_model, name, section), choices=choices, tasks=tasks),
            max_bytes=section.updates.max_bytes,
        )
        found.append(Updater(updates, servers, switched))
    return found


def _chosen(section: Model, way: Way) -> Choice | None:
    """What the new bundle will be asked to do: what is configured, or its defaults, where the old one's plan ends."""
    return way.chooser.choice if section.cut or section.codec else None
