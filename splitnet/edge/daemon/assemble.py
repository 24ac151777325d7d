"""From a configuration to what runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from splitnet.bundle import Bundle
from splitnet.edge.adapt.choice import Choice, Chooser, Fixed, fixed
from splitnet.edge.adapt.live import LivePlan
from splitnet.edge.adapt.scene import Scene
from splitnet.edge.capture.contract import Source
from splitnet.edge.capture.make import make_source
from splitnet.edge.config.schema import EdgeConfig
from splitnet.edge.config.schema import Model as ModelSection
from splitnet.edge.config.sources import AnySource
from splitnet.edge.daemon.model import Model
from splitnet.edge.daemon.recorder import Recorder
from splitnet.edge.daemon.way import Way
from splitnet.edge.link.connect import make_server
from splitnet.edge.link.server import Server
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.sinks.make import make_sink
from splitnet.edge.spool.cipher import Cipher
from splitnet.edge.spool.store import Store
from splitnet.edge.updates.shelf import Shelf
from splitnet.errors import BundleError, ConfigError, SplitnetError
from splitnet.plan.candidate import Constraints
from splitnet.plan.profile import check_bundle, merge, read_profile
from splitnet.plan.profiled import Wanted, candidates

log = structlog.get_logger()

STATE = "state.sqlite"
Changed = Callable[[str, Choice, Choice, str], None]
"""Called with a source's name, the old choice, the new one, and why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything between a configuration and a running daemon."""

    config: EdgeConfig
    models: dict[str, Model]
    servers: tuple[Server, ...]
    recorders: dict[str, Recorder]
    sources: dict[str, Source]
    ways: dict[str, Way]

    @property
    def live(self) -> dict[str, LivePlan]:
        """The plans that follow the link, by source."""
        return {name: way.chooser for name, way in self.ways.items() if isinstance(way.chooser, LivePlan)}


def open_store(config: EdgeConfig) -> Store:
    """The daemon's state on disk. Raises OutputError, ConfigError."""
    spool = config.spool
    cipher = None if spool.key is None else Cipher(spool.key.reveal("spool.key"))
    return Store(config.state / STATE, max_bytes=spool.max_bytes, cipher=cipher)


def load_models(config: EdgeConfig) -> dict[str, Model]:
    """Open every bundle, and see whether sources ask for what is there. Raises SplitnetError."""
    models = {}
    for name, section in config.models.items():
        try:
            models[name] = make_model(name, section, _bundle(config, name, section))
        except SplitnetError as error:
            raise ConfigError(f"models.{name}: {error}") from error
    return models


def make_model(name: str, section: ModelSection, bundle: Bundle) -> Model:
    """A bundle, run as the configuration says. Raises UsageError for a task that it does not have."""
    for task in section.cloud_only:
        bundle.task(task)
    return Model(name, bundle, threads=section.threads, cloud_only=section.cloud_only, slowdown=section.slowdown)


def shelf_of(config: EdgeConfig, name: str) -> Shelf:
    """Where the bundles are that a model fetched."""
    return Shelf(config.state / "bundles" / name, config.models[name].bundle)


def _bundle(config: EdgeConfig, name: str, section: ModelSection) -> Bundle:
    """The configured bundle, or the update in use; one that is damaged gives way to the one before."""
    if section.updates is None:
        return Bundle.load(section.bundle, half="edge")
    shelf = shelf_of(config, name)
    while shelf.state.current:
        try:
            return Bundle.load(shelf.current, half="edge")
        except BundleError as error:
            if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
                # It may be in order, and only cannot be read now.
                raise
            log.error("update", model=name, error=f"{error}; the bundle before it is used")
            shelf.roll_back()
    return Bundle.load(section.bundle, half="edge")


def build(config: EdgeConfig, store: Store, tally: EdgeTally, changed: Changed) -> Setup:
    """Make everything; nothing runs yet. Raises SplitnetError, in one line that names what is wrong."""
    models = load_models(config)
    servers = tuple(make_server(section, config.link) for section in config.servers)
    recorders = {name: Recorder(name, make_sink(name, section), store, tally) for name, section in config.sinks.items()}
    sources, ways = {}, {}
    for name, section in config.sources.items():
        try:
            ways[name] = _way(name, section, config, models, recorders, changed)
            kind = ways[name].model.bundle.manifest.input.kind
            sources[name] = make_source(name, section, kind)
        except SplitnetError as error:
            raise ConfigError(f"sources.{name}: {error}") from error
    return Setup(config, models, servers, recorders, sources, ways)


def _way(
    name: str,
    section: AnySource,
    config: EdgeConfig,
    models: dict[str, Model],
    recorders: dict[str, Recorder],
    changed: Changed,
) -> Way:
    model_name = section.model or next(iter(models))
    model, told = models[model_name], config.models[model_name]
    tasks = model.tasks(section.tasks)
    chooser = _chooser(name, section, told, model, tasks, changed)
    model.check(chooser.choice)
    if not config.servers:
        if not model.answers(tasks):
            raise ConfigError("no server is configured, and the device cannot answer all tasks alone")
        chooser = Fixed(Choice("edge", reason="no server is configured"))
    model.load(chooser.choice)
    if "local" in section.fallback:
        # Now, and not in the first outage: it takes a moment, and may fail.
        model.answers(tasks)
    scene = Scene(section.skip) if section.skip else None
    return Way(name, section, model, tasks, chooser, recorders[section.sink], scene)


def _chooser(
    name: str, section: AnySource, told: ModelSection, model: Model, tasks: tuple[str, ...], changed: Changed
) -> Chooser:
    if told.edge_profile is None or told.cloud_profile is None:
        return fixed(model.bundle, told.cut, told.codec)
    profile = merge(read_profile(told.edge_profile, "edge"), read_profile(told.cloud_profile, "cloud"))
    if told.updates is not None and profile.fingerprint != model.bundle.fingerprint:
        # An update came; its own profile has yet to be measured.
        log.warning("plan", source=name, error=f"{told.edge_profile} is of another bundle; the bundle's defaults count")
        return fixed(model.bundle)
    check_bundle(profile, model.bundle.fingerprint, str(told.edge_profile))
    cuts = {cut.name for cut in model.bundle.manifest.built_cuts}
    images = next((cut for cut in cuts if model.bundle.manifest.is_input(model.bundle.cut(cut))), "")
    alone = model.answers(tasks)
    possible = {"edge": lambda one: alone, "split": lambda one: one.cut in cuts, "cloud": lambda one: bool(images)}
    found = candidates(profile, Wanted(tasks, cloud_only=told.cloud_only))
    return LivePlan(
        [one for one in found if possible[one.mode](one)],
        Constraints(section.min_agreement, section.max_kl),
        told.objective,
        input_cut=images,
        changed=lambda old, new, reason: changed(name, old, new, reason),
    )
