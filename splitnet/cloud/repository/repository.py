"""Versions of models that come and go while the service answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from splitnet.bundle import Bundle
from splitnet.bundle.versions import version_key
from splitnet.cloud.model import CloudModel, shorten
from splitnet.cloud.repository.folder import Folder, Key, Listing, Place, Signature, signature
from splitnet.cloud.repository.state import Entry, State, Version
from splitnet.cloud.service import InferenceService
from splitnet.errors import BundleError, InvalidRequestError, SplitnetError, UnknownError

log = structlog.get_logger("splitnet.repository")


class Repository:
    """Loads, reloads and unloads versions without an effect on requests under way.

    A version is verified, loaded and run once on a thread; only then does it take its predecessor's place in the
    service's table, in one step. Requests that were admitted before keep the model that they found. Belongs to one
    event loop; changes are made one after another, for each needs memory for another copy of a model.

    Parameters
    ----------
    service
        Whose models these are. Those it serves already can be managed too.
    folder
        The repository folder; without one, only what the service was started with is managed.

    Raises
    ------
    UsageError
        if there is no such folder.
    """

    def __init__(self, service: InferenceService, folder: Path | None = None) -> None:
        self._service = service
        self._served = service.served
        self._folder = None if folder is None else Folder(folder)
        self._listing = Listing()
        self._lock = asyncio.Lock()
        self._pins: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._entries: dict[Key, Entry] = {}
        for model in self._served.all():
            self._entries[_key(model)] = Entry(Place(*_key(model), model.bundle.path))

    async def start(self) -> None:
        """Load every version in the folder; a broken one is logged, the others serve."""
        async with self._lock:
            await self._look()
            for place in self._listing.places.values():
                await self._load(place)
            self._choose_defaults()

    async def versions(self) -> list[Version]:
        """What is served, what failed, and what lies in the folder unused; by name, newest version first."""
        await self._look()
        newest_first = sorted(self._places(), key=lambda key: version_key(key[1]), reverse=True)
        return [self._version(key) for key in sorted(newest_first, key=lambda key: key[0])]

    def last_seen(self) -> list[Version]:
        """As `versions`, without a look into the folder; from any thread."""
        return [self._version(key) for key in sorted(self._places())]

    async def load(self, name: str, version: str = "", fingerprint: str = "") -> Version:
        """Serve a version, without one the newest in the folder; one that is served already is left as it is.

        With a `fingerprint`, another bundle than this is refused. What is wrong with a bundle is in the answer.

        Raises
        ------
        UnknownError
            if it is nowhere.
        """
        async with self._lock:
            await self._look()
            place = self._find(name, version)
            key = (place.name, place.version)
            if self._model(key) is None:
                await self._load(place, fingerprint)
                self._choose_defaults()
            return self._version(key)

    async def reload(self, name: str, version: str = "", fingerprint: str = "") -> list[Version]:
        """Load a version again from its folder, without a version all of `name` that are served or have failed.

        Where that fails, what was loaded before goes on serving, and the answer says what is wrong.

        Raises
        ------
        UnknownError
            if it is nowhere.
        """
        async with self._lock:
            await self._look()
            active = [key for key, entry in self._entries.items() if self._model(key) is not None or entry.error]
            wanted = [(name, version)] if version else [key for key in active if key[0] == name]
            places = [self._find(*key) for key in wanted] or [self._find(name, version)]
            for place in places:
                await self._load(place, fingerprint)
            self._choose_defaults()
            return [self._version((place.name, place.version)) for place in places]

    async def unload(self, name: str, version: str) -> Version:
        """Serve a version no longer; requests under way are answered. Raises UnknownError, InvalidRequestError."""
        if not version:
            raise InvalidRequestError(f"which version of {shorten(name)} is to be unloaded? name one")
        async with self._lock:
            await self._look()
            self._served.remove(name, version)
            entry = self._entries[name, version]
            entry.error, entry.signature = "", await asyncio.to_thread(signature, entry.place.path)
            self._choose_defaults()
            log.info("unloaded", model=name, version=version)
            return self._version((name, version))

    async def set_default(self, name: str, version: str) -> Version:
        """Pin the version that a request means which names none; an empty version makes it the newest again.

        It is kept in the folder, where that can be written to.

        Raises
        ------
        UnknownError
            if it is not served.
        """
        async with self._lock:
            self._served.exact(name, version or self._served.default(name))
            self._pins[name] = version
            if self._folder is not None and (self._folder.root / name).is_dir():
                if await asyncio.to_thread(self._folder.pin, name, version):
                    # From now on the file counts, so that it can also be changed by hand.
                    del self._pins[name]
                else:
                    log.warning("the default is not kept past a restart: the folder is read-only", model=name)
            await self._look()
            self._choose_defaults()
            return self._version((name, self._served.default(name)))

    async def follow(self, settled: Mapping[Key, Signature]) -> None:
        """Make what is served what lies in the folder: the watcher's errand.

        `settled` holds the signature of each version's files, none for a version whose folder is gone; versions that
        are still being written are not in it.
        """
        async with self._lock:
            await self._look()
            for key, found in settled.items():
                entry, place = self._entries.get(key), self._listing.places.get(key)
                if place is not None and found and (entry is None or entry.signature != found):
                    await self._load(place)
                elif place is None and not found and entry is not None:
                    if self._model(key) is not None:
                        self._served.remove(*key)
                        log.info("unloaded, its folder is gone", model=key[0], version=key[1])
                    del self._entries[key]
            self._choose_defaults()

    async def watched(self) -> dict[Key, Path]:
        """Where the folder's versions lie, or lay."""
        if self._folder is None:
            return {}
        await self._look()
        return {key: one.path for key, one in self._places().items() if self._folder.root in one.path.parents}

    async def _load(self, place: Place, fingerprint: str = "") -> None:
        key = (place.name, place.version)
        entry = self._entries.setdefault(key, Entry(place))
        entry.place, entry.loading, entry.error = place, True, ""
        try:
            # Before the files are read: one that changes meanwhile is a change that the watcher sees.
            entry.signature = await asyncio.to_thread(signature, place.path)
            model = await asyncio.to_thread(self._open, place, fingerprint)
        except SplitnetError as error:
            entry.error = str(error)
            kept = self._model(key) is not None
            log.error("cannot load", model=place.name, version=place.version, error=entry.error, old_one_serves=kept)
        except Exception as error:  # the boundary: a bundle must not be able to end the service
            entry.error = f"the service failed while it loaded this ({type(error).__name__}); its log says why"
            log.exception("cannot load", model=place.name, version=place.version)
        else:
            self._served.put(model, default=False)
            log.info("loaded", model=place.name, version=place.version, fingerprint=model.bundle.fingerprint[:12])
        finally:
            entry.loading = False

    def _open(self, place: Place, fingerprint: str) -> CloudModel:
        bundle = Bundle.load(place.path)
        manifest = bundle.manifest
        if (manifest.name, manifest.version) != (place.name, place.version):
            raise BundleError(
                f"{place.path} holds {manifest.name} version {manifest.version}; it belongs at "
                f"{manifest.name}/{manifest.version}"
            )
        if fingerprint and bundle.fingerprint != fingerprint:
            raise BundleError(f"{place.path} has fingerprint {bundle.fingerprint}, not {fingerprint}")
        bundle.verify()
        return self._service.load(bundle)

    def _choose_defaults(self) -> None:
        for name in self._served.names():
            versions = [version for one, version in map(_key, self._served.all()) if one == name]
            pinned = self._pin(name)
            missing = "" if pinned in versions else pinned
            if missing and missing != self._missing.get(name):
                log.warning("the pinned default is not served; the newest version is", model=name, pinned=missing)
            self._missing[name] = missing
            chosen = pinned if pinned in versions else max(versions, key=version_key)
            self._served.set_default(name, chosen)

    async def _look(self) -> None:
        if self._folder is not None:
            self._listing = await asyncio.to_thread(self._folder.read)

    def _pin(self, name: str) -> str:
        return self._pins.get(name, self._listing.pins.get(name, ""))

    def _places(self) -> dict[Key, Place]:
        # A copy first, in one step: `last_seen` comes from another thread.
        return {**{key: entry.place for key, entry in self._entries.copy().items()}, **self._listing.places}

    def _find(self, name: str, version: str) -> Place:
        """The place of a version, the newest without one. Raises UnknownError, listing what there is."""
        places = self._places()
        versions = [one for model, one in places if model == name]
        if not versions:
            known = ", ".join(sorted({model for model, _ in places})) or "nothing yet"
            raise UnknownError(f"no model {shorten(name)} in the repository; there: {known}")
        version = version or max(versions, key=version_key)
        if version not in versions:
            known = ", ".join(sorted(versions, key=version_key))
            raise UnknownError(f"no version {shorten(version)} of {name} in the repository; there: {known}")
        return places[name, version]

    def _model(self, key: Key) -> CloudModel | None:
        return next((model for model in self._served.all() if _key(model) == key), None)

    def _version(self, key: Key) -> Version:
        model, entry = self._model(key), self._entries.get(key)
        state = State.UNLOADED
        if model is not None:
            state = State.SERVING
        elif entry is not None and (entry.loading or entry.error):
            state = State.LOADING if entry.loading else State.FAILED
        return Version(
            *key,
            state,
            error="" if entry is None else entry.error,
            fingerprint="" if model is None else model.bundle.fingerprint,
            default=self._served.default(key[0]) == key[1],
            pinned=self._pin(key[0]) == key[1],
        )


def _key(model: CloudModel) -> Key:
    return (model.bundle.manifest.name, model.bundle.manifest.version)
