"""Fetching a vision-language model from Hugging Face: only what is needed, resumed, checked, and whole or not there."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import sha256_of
from ..errors import DamagedWeightsError, DiskFullError, MissingDependencyError, SettingError, WeightsNotFoundError
from ..space import readable

REPOSITORY = "llava-hf/llava-onevision-qwen2-7b-ov-hf"
"""What is fetched unless another repository is named."""

SUGGESTED = (
    (REPOSITORY, "16 GB, Apache-2.0: the best of these"),
    ("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", "1.8 GB, Apache-2.0: small enough for a CPU"),
    ("llava-hf/llava-v1.6-mistral-7b-hf", "15 GB, Apache-2.0: LLaVA-NeXT"),
    ("llava-hf/llava-1.5-7b-hf", "14 GB, Llama 2 licence"),
)
"""Repositories of models that are known to go together with us, with their rough size and their licence."""

_NEEDED = (".safetensors", ".json", ".txt", ".model", ".jinja")
_REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)

Told = Callable[[str], None]
"""Takes a sentence: what will be fetched, then how much of it is here."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository; ``sha256`` is empty for small ones, which have none."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DownloadPlan:
    """What will be fetched: the files of one revision."""

    repository: str
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        return f"{self.repository} ({readable(self.size)}, licence: {self.licence})"


def plan_download(repository: str, endpoint: str | None = None) -> DownloadPlan:
    """Ask Hugging Face what a model consists of; nothing is fetched yet.

    Args:
        repository: author/name.
        endpoint: the server; nothing is Hugging Face, or what the environment variable HF_ENDPOINT names.

    Raises:
        SettingError: that is no name of a repository.
        WeightsNotFoundError: it cannot be reached, or holds no .safetensors.
    """
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise SettingError(f"Expected a repository such as {REPOSITORY}, got {repository!r}; write author/name.")
    with _explained(repository):
        found = _hub().HfApi(endpoint=endpoint).model_info(repository, files_metadata=True)
    files = tuple(
        RemoteFile(file.rfilename, file.size or 0, file.lfs["sha256"] if file.lfs else "")
        for file in found.siblings or []
        if file.rfilename.endswith(_NEEDED)
        and not {*"/\\:"} & {*file.rfilename}
        and "consolidated" not in file.rfilename
    )
    if not any(file.name.endswith(".safetensors") for file in files):
        raise WeightsNotFoundError(f"Expected .safetensors in {repository}, found none; choose another repository.")
    licence = next((tag.partition(":")[2] for tag in found.tags or [] if tag.startswith("license:")), "not said")
    return DownloadPlan(repository, found.sha, licence, files)


def download_vlm(
    repository: str,
    root: Path,
    told: Told = lambda _: None,
    check: Callable[[], None] = lambda: None,
    endpoint: str | None = None,
) -> Path:
    """Fetch a model into a folder of its name in ``root``; call it only with the user's consent.

    It is fetched beside its place and moved there when every file has the size, and every large one the SHA-256, that
    the server told. What an interrupted download has fetched is kept, and the next one goes on there. A model that is
    there already is not asked for again.

    Args:
        repository: author/name.
        root: a folder of models; made if it is missing.
        told: called with what will be fetched and, now and then, with how much of it is here.
        check: called now and then; may raise to cancel.
        endpoint: see ``plan_download``.

    Raises:
        SettingError, WeightsNotFoundError: from ``plan_download``, or the connection broke.
        DiskFullError: there is no room.
        DamagedWeightsError: what arrived is not what was told; it is deleted.
        MissingDependencyError: huggingface_hub is not installed.
    """
    target = root / repository.rpartition("/")[2]
    if (target / "config.json").is_file():
        return target
    plan = plan_download(repository, endpoint)
    told(f"downloading {plan} to {target}")
    partial = root / f".{target.name}.part"
    partial.mkdir(parents=True, exist_ok=True)
    _check_room(plan.size - _size(partial), root)
    _fetch(plan, partial, _Watch(partial, plan.size, told, check), endpoint)
    _verify(plan, partial)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    partial.rename(target)
    return target


def _fetch(plan: DownloadPlan, folder: Path, watch: "_Watch", endpoint: str | None) -> None:
    with _explained(plan.repository):
        _hub().snapshot_download(
            plan.repository,
            revision=plan.revision,
            local_dir=folder,
            allow_patterns=[file.name for file in plan.files],
            tqdm_class=_watching(watch),
            **({} if endpoint is None else {"endpoint": endpoint}),
        )


def _check_room(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"Expected {readable(needed)} free in {folder} for the model, found {readable(free)}; free some space, or "
            "choose a smaller model."
        )


def _verify(plan: DownloadPlan, folder: Path) -> None:
    for file in plan.files:
        path = folder / file.name
        right = path.is_file() and path.stat().st_size == file.size
        if not (right and (not file.sha256 or sha256_of(path) == file.sha256)):
            path.unlink(missing_ok=True)
            raise DamagedWeightsError(
                f"Expected {file.name} of {plan.repository} as its server described it, got something else; it was "
                "deleted. Download again: what is whole is kept."
            )


class _Watch:
    """Looks at a download now and then: says how far it is, and ends it when it was cancelled."""

    def __init__(self, folder: Path, size: int, told: Told, check: Callable[[], None]) -> None:
        self._folder, self._size, self._told, self._check = folder, size, told, check
        self._share = -1
        self._stopped: BaseException | None = None

    def __call__(self) -> None:
        if self._stopped is not None:  # the library's other threads end as well
            raise self._stopped
        try:
            self._check()
        except BaseException as error:
            self._stopped = error
            raise
        here = _size(self._folder)
        share = 100 * here // max(self._size, 1)
        if share != self._share:
            self._share = share
            self._told(f"downloaded {readable(here)} of {readable(self._size)}")


def _watching(watch: _Watch) -> Any:
    """A progress bar of huggingface_hub that also calls ``watch``."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # its lazy import hides it

    class Watching(tqdm):
        def __iter__(self) -> Iterator[Any]:
            for item in super().__iter__():
                watch()
                yield item

        def update(self, n: float | None = 1) -> bool | None:
            watch()
            return super().update(n)

    return Watching


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package huggingface_hub for downloads, found none; run `pip install huggingface_hub`, or put "
            "the model's folder into models/LLM yourself."
        ) from error
    return huggingface_hub


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Turn the library's errors into ours."""
    kinds = _network_errors()
    try:
        yield
    except kinds as error:
        said = (str(error).strip() or "no reason").splitlines()[0]
        raise WeightsNotFoundError(
            f"Expected to fetch {repository}, got {type(error).__name__}: {said}; check its name and the connection "
            "and start again: what has arrived is kept. Or put the model's folder into models/LLM yourself, or write "
            "the captions yourself."
        ) from error


def _network_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HfHubHTTPError

    # Its base is that of everything its HTTP library raises: requests, httpx or httpx2, by its version.
    bases = tuple(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
    return (HfHubHTTPError, OSError, *bases)
