"""The template of every diarizer: `diarize()` and `diarize_generator()` over a handful of hooks."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar

from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from speakerdiar.audio import rereadable
from speakerdiar.config import (
    DiarizeConfig,
    InternalDiarizeConfig,
    PostProcessingParams,
    as_config,
    checked_options,
    private_copy,
)
from speakerdiar.errors import (
    ConfigError,
    InputError,
    MisplacedArgumentError,
    ModelError,
    SpeakerCountError,
    closest,
)
from speakerdiar.mixins.batches import AudioBatch, BatchIds, audio_dataloader, device_of, to_device
from speakerdiar.mixins.folding import fold
from speakerdiar.mixins.live import is_live, stream_updates
from speakerdiar.mixins.naming import Naming, check_nameless
from speakerdiar.mixins.neural import ModelModes, inference_state, plain_tensors
from speakerdiar.mixins.sources import CallSource, entries_with, loader_options, rate_of, source_of, write_manifest
from speakerdiar.mixins.streaming import as_streaming
from speakerdiar.mixins.tunable import TunableMixin
from speakerdiar.postprocessing.params import load_params
from speakerdiar.recording import as_recordings

__all__ = ["DiarizeConfig", "InternalDiarizeConfig", "SpkDiarizationMixin"]


class SpkDiarizationMixin(TunableMixin, ABC):
    """Gives a model `diarize()` and `diarize_generator()`.

    A subclass writes three steps, in the order they run:

        _setup_diarize_dataloader(config)                        -> DataLoader
        _diarize_forward(batch)                                  -> outputs
        _diarize_output_processing(outputs, uniq_ids, diarcfg)   -> list, one result per recording of the batch

    and may override four more, whose defaults do what most models need:

        _diarize_on_begin(audio, diarcfg)                        set-up and pre-checks
        _diarize_input_processing(audio, diarcfg)                -> DataLoader, by way of the next and the loader hook
        _diarize_input_manifest_processing(audio_files, temp_dir, diarcfg)  -> config of the loader
        _diarize_on_end(diarcfg)                                 runs whatever happens

    `diarize` and `diarize_generator` are not meant to be overridden. No `__init__` of this class has to run. Nothing of
    a call is kept on the model: `diarcfg` is the call's own copy of the options, and `diarcfg._internal` its memory, so
    any number of generators of one model may run side by side. Eval mode and `torch.inference_mode` hold around the
    forward only, and every submodule gets its own mode back.
    """

    DIARIZE_CONFIG: ClassVar[type[DiarizeConfig]] = DiarizeConfig
    """The class of this model's options."""
    DEFAULT_POSTPROCESSING: ClassVar[PostProcessingParams] = PostProcessingParams()
    """Post-processing when the caller asks for none."""
    POSTPROCESSING: ClassVar[Mapping[str, PostProcessingParams]] = {}
    """Post-processing that may be asked for by name."""

    @property
    def speaker_capacity(self) -> int | None:
        """Most speakers that the model can tell apart; None for any number."""
        return None

    def diarize(
        self,
        audio: Any,
        *misplaced: Any,
        sample_rate: int | None = None,
        batch_size: int = 1,
        include_tensor_outputs: bool = False,
        postprocessing_yaml: str | None = None,
        num_workers: int | None = 0,
        verbose: bool = False,
        override_config: Any = None,
        **config_kwargs: Any,
    ) -> Any:
        """Say who spoke when, for one recording or many.

        Args:
            audio: a path, samples (array or tensor, with `sample_rate`), `(samples, rate)`, an open binary file, a dict
                `{audio_filepath, offset, duration, uniq_id, num_speakers}`, a list of these, one manifest (`.json`,
                `.jsonl`), or a DataLoader that yields the model's own batches.
            misplaced: refused; everything after `audio` goes by keyword.
            sample_rate: Hz, for samples without a rate of their own.
            batch_size: recordings in a batch; never changes a result.
            include_tensor_outputs: return the frame scores too.
            postprocessing_yaml: file of post-processing parameters.
            num_workers: processes that read audio ahead.
            verbose: show a progress bar.
            override_config: a whole `DiarizeConfig`, or one derived from it. It isn't changed. Arguments that differ
                from their defaults are put on top of it.
            config_kwargs: further fields of the config, such as `num_speakers`.

        Returns:
            One result per recording, in order: a list, for one recording too. A model whose output processing returns
            a tuple or dict of lists gives a tuple or dict of lists.

        Raises:
            InputError: `audio` is empty or of no known kind; samples have no rate.
            ConfigError: an option has a value that can't be used.
            UnknownOptionError: an option doesn't exist.
        """
        if misplaced:
            raise _misplaced(misplaced)
        named = {
            "sample_rate": sample_rate,
            "batch_size": batch_size,
            "include_tensor_outputs": include_tensor_outputs,
            "postprocessing_yaml": postprocessing_yaml,
            "num_workers": num_workers,
            "verbose": verbose,
        }
        defaults = {f.name: f.default for f in fields(DiarizeConfig)}
        given = {name: value for name, value in named.items() if value != defaults[name]}
        if is_live(audio):
            raise InputError(f"{type(audio).__name__} is live and may never end: iterate over diarize_generator(...).")
        return fold(self._diarize_call(audio, self._diarize_config(override_config, {**given, **config_kwargs})))

    def diarize_generator(self, audio: Any, override_config: Any = None, **config_kwargs: Any) -> Iterator[Any]:
        """Say who spoke when, batch by batch, or live: yields each result or update as soon as it is there.

        Takes what `diarize` takes. Bad input raises here, at the call, not at the first `next`.

        With `latency=`, a name of one of the model's presets, and for a live source, it yields `StreamingUpdate`s of
        one recording, when the model has made a step or something happened, and one at the end. Turns are on the
        recording's clock. The recording is a path, an open file, samples or a dict; or any iterator or iterable object,
        other than a list or tuple, of chunks of samples of any size (arrays or `SampleChunk`s), at `sample_rate` Hz or
        at the source's own attribute of that name. A source whose attribute `is_live` is true, such as a microphone,
        needs no `latency`.

        Returns:
            A generator. Closing or dropping it at any point cleans up, and closes a source of chunks.

        Raises:
            InputError, ConfigError: see `diarize`; or more than one recording, or a model that doesn't stream.
        """
        diarcfg = self._diarize_config(override_config, config_kwargs)
        if is_live(audio) or diarcfg.latency is not None:
            check_nameless(diarcfg)
            return stream_updates(as_streaming(self), audio, diarcfg)
        return self._diarize_call(audio, diarcfg)

    def check_options(self, override_config: Any = None, **config_kwargs: Any) -> None:
        """Raise what `diarize` would raise for these options, without any audio.

        Raises:
            ConfigError: an option has a value that can't be used, or that this model doesn't have.
            UnknownOptionError: an option doesn't exist.
        """
        self._diarize_config(override_config, config_kwargs)

    def _diarize_call(self, audio: Any, diarcfg: DiarizeConfig) -> Iterator[Any]:
        if isinstance(audio, Iterator) and not hasattr(audio, "read"):
            audio = list(audio)  # the hooks see it too, and an iterator can be read but once
        audio = self._diarize_unpack(audio, diarcfg)
        source = source_of(audio, diarcfg)
        return self._diarize_batches(audio, source, diarcfg)

    def _diarize_unpack(self, audio: Any, diarcfg: DiarizeConfig) -> Any:
        """Return the recordings of what a call was handed in, for models that take more than recordings."""
        return audio

    def _diarize_config(self, override_config: Any, options: Mapping[str, Any]) -> DiarizeConfig:
        """Make the call's own config and check it."""
        own: DiarizeConfig = private_copy(as_config(_to_dataclass(override_config), self.DIARIZE_CONFIG))
        for name, value in checked_options(type(own), options).items():
            setattr(own, name, value)
        own.validate()
        self._check_capacity(own)
        if own.latency is not None:
            as_streaming(self)._stream_preset(own.latency)
        own.postprocessing_params = self._diarize_postprocessing(own)
        assert own._internal is not None
        if own.voiceprints is not None:
            own._internal.naming = Naming.of(own.voiceprints, self)
        own._internal.target_sample_rate = rate_of(self) or own._internal.target_sample_rate
        return own

    def _check_capacity(self, diarcfg: DiarizeConfig) -> None:
        least, most = diarcfg.speaker_count.least, self.speaker_capacity
        if most is not None and least > most:
            raise SpeakerCountError(
                f"{least} speakers were asked for, and {type(self).__name__} tells at most {most} apart: ask for "
                "fewer, or take a model for more, such as the embedded one."
            )

    def _diarize_postprocessing(self, diarcfg: DiarizeConfig) -> PostProcessingParams:
        given = diarcfg.postprocessing_params
        if given is None:
            path = diarcfg.postprocessing_yaml
            return load_params(path) if path is not None else replace(self.DEFAULT_POSTPROCESSING)
        if isinstance(given, PostProcessingParams):
            return replace(given)
        if isinstance(given, Mapping):
            return PostProcessingParams.from_mapping(given)
        if isinstance(given, str) and given in self.POSTPROCESSING:
            return replace(self.POSTPROCESSING[given])
        near = closest(given, self.POSTPROCESSING) if isinstance(given, str) else ""
        names = f", or one of {', '.join(self.POSTPROCESSING)}" if self.POSTPROCESSING else ""
        raise ConfigError(
            f"postprocessing_params={given!r}:{near} give PostProcessingParams or a mapping of its fields{names}."
        )

    def _diarize_batches(self, audio: Any, source: CallSource, diarcfg: DiarizeConfig) -> Iterator[Any]:
        internal = diarcfg._internal
        assert internal is not None
        listed = source.recordings
        if internal.naming is not None:
            listed = tuple(rereadable(recording) for recording in listed)  # the speakers are embedded in the end
        internal.recordings = {recording.id: recording for recording in listed}
        internal.manifest_filepath = source.manifest_filepath
        if diarcfg.num_workers is None:
            diarcfg.num_workers = min(diarcfg.batch_size, max(0, (os.cpu_count() or 1) - 1))
        modes = ModelModes.of(self)
        try:
            try:
                self._diarize_on_begin(audio, diarcfg)
            finally:
                internal.touched = modes.changed_since()
            with tempfile.TemporaryDirectory(prefix="speakerdiar-") as temp_dir:
                internal.temp_dir = temp_dir
                loader = source.loader
                if loader is None:
                    loader = self._diarize_input_processing(audio, diarcfg)
                yield from self._diarize_loader(loader, diarcfg)
        finally:
            try:
                self._diarize_on_end(diarcfg)
            finally:
                _put_back(diarcfg)  # where the hook was overridden without super()

    def _diarize_loader(self, loader: DataLoader[Any], diarcfg: DiarizeConfig) -> Iterator[Any]:
        internal = diarcfg._internal
        assert internal is not None
        total = len(internal.recordings) or None
        ids = BatchIds(list(internal.recordings), loader)
        done = 0
        with tqdm(total=total, desc="Diarizing", unit="file", disable=not diarcfg.verbose) as bar:
            for raw_batch in loader:
                uniq_ids = ids.take(raw_batch, diarcfg.batch_size)
                if isinstance(raw_batch, AudioBatch):
                    internal.recordings.update({recording.id: recording for recording in raw_batch.recordings})
                batch = to_device(raw_batch, internal.device or device_of(self))
                with inference_state(self):
                    outputs = self._diarize_forward(batch)
                if internal.heard is not None:
                    internal.heard(outputs, uniq_ids, diarcfg)
                processed = self._diarize_output_processing(plain_tensors(outputs), uniq_ids, diarcfg)
                _check_pairing(processed, uniq_ids, raw_batch, self)
                if internal.naming is not None:
                    processed = _named(processed, uniq_ids, internal)
                done += len(uniq_ids)
                bar.update(len(uniq_ids))
                if diarcfg.progress is not None:
                    diarcfg.progress(done, total)
                yield processed

    def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
        """Set up and check before anything is read. The default fills in what the call remembers of the model."""
        internal = diarcfg._internal
        assert internal is not None
        featurizer = getattr(getattr(self, "preprocessor", None), "featurizer", None)
        internal.training_mode = bool(getattr(self, "training", False))
        internal.dither_value = getattr(featurizer, "dither", None)
        internal.pad_to_value = getattr(featurizer, "pad_to", None)

    def _diarize_input_processing(self, audio: Any, diarcfg: DiarizeConfig) -> DataLoader[Any]:
        """Make the loader. Paths go through the manifest hook; a manifest, or paths with a span, go as a manifest.

        Samples and open files don't pass through `_setup_diarize_dataloader`: they come as `AudioBatch`es.
        """
        internal = diarcfg._internal
        assert internal is not None
        recordings = list(internal.recordings.values())
        config = {**loader_options(diarcfg), "recordings": recordings}
        if internal.manifest_filepath is None and any(recording.path is None for recording in recordings):
            return audio_dataloader(config)
        if internal.manifest_filepath is not None:
            return self._setup_diarize_dataloader({"manifest_filepath": internal.manifest_filepath, **config})
        if not all(recording.is_whole_file for recording in recordings):
            path = write_manifest([recording.manifest_entry() for recording in recordings], str(internal.temp_dir))
            return self._setup_diarize_dataloader({"manifest_filepath": path, **config})
        paths = [str(recording.path) for recording in recordings]
        return self._setup_diarize_dataloader(
            self._diarize_input_manifest_processing(paths, str(internal.temp_dir), diarcfg)
        )

    def _diarize_input_manifest_processing(
        self, audio_files: list[str], temp_dir: str, diarcfg: DiarizeConfig
    ) -> dict[str, Any]:
        """Write `temp_dir/manifest.json` for paths and return the loader's config."""
        internal = diarcfg._internal
        assert internal is not None
        recordings = list(internal.recordings.values()) or as_recordings(audio_files)
        write_manifest(entries_with(self._input_audio_to_rttm_processing(audio_files), recordings), temp_dir)
        return {**loader_options(diarcfg), "paths2audio_files": audio_files, "recordings": recordings}

    def _input_audio_to_rttm_processing(self, audio_files: list[str]) -> list[dict[str, Any]]:
        """Return a manifest entry, with a unique id, for each path."""
        return [recording.manifest_entry() for recording in as_recordings(audio_files)]

    @abstractmethod
    def _setup_diarize_dataloader(self, config: dict[str, Any]) -> DataLoader[Any]:
        """Return a loader that yields all recordings, in order.

        Batches of another order must carry their ids, as an `AudioBatch` or as `uniq_ids`; results come in that order.

        Args:
            config: `paths2audio_files` (list of str) or `manifest_filepath`; `batch_size`, `num_workers`, `temp_dir`,
                `session_len_sec`, `sample_rate`, and `recordings` (`Recording`s, spans included).
                `speakerdiar.mixins.audio_dataloader(config)` reads them all.
        """

    @abstractmethod
    def _diarize_forward(self, batch: Any) -> Any:
        """Run the model on one batch, on the model's device, in eval and inference mode."""

    @abstractmethod
    def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: DiarizeConfig) -> Any:
        """Return one result per recording of the batch, in order.

        Args:
            outputs: what `_diarize_forward` returned; its tensors are ordinary ones.
            uniq_ids: the unique ids of the batch's recordings; `diarcfg._internal.recordings[id]` is the recording.
            diarcfg: the call's options; `diarcfg.postprocessing_params` is always filled in.
        """

    def _diarize_on_end(self, diarcfg: DiarizeConfig) -> None:
        """Runs whatever happened. The default puts back what `_diarize_on_begin` changed of the model's modes."""
        _put_back(diarcfg)


def _put_back(diarcfg: DiarizeConfig) -> None:
    internal = diarcfg._internal
    if internal is not None and internal.touched is not None:
        internal.touched.restore()
        internal.touched = None


def _to_dataclass(config: Any) -> Any:
    """Return an OmegaConf structured config as the dataclass that it describes; anything else as it is."""
    if type(config).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        return OmegaConf.to_object(config)
    return config


def _misplaced(values: Sequence[Any]) -> MisplacedArgumentError:
    rate = isinstance(values[0], int) and values[0] >= 1000
    likely = "sample_rate" if rate else "batch_size"
    return MisplacedArgumentError(
        f"diarize() takes only `audio` by position, and {values[0]!r} stands behind it: "
        f"write {likely}={values[0]!r} (NeMo 2 had batch_size there, NeMo 3 sample_rate)."
    )


def _named(processed: Any, uniq_ids: list[str], internal: InternalDiarizeConfig) -> list[Any]:
    """Give the speakers of a batch's results the names of enrolled voices."""
    pairs = zip(processed, uniq_ids, strict=True)
    return [internal.naming.named(result, internal.recordings.get(id)) for result, id in pairs]


def _check_pairing(processed: Any, uniq_ids: Sequence[str], batch: Any, model: object) -> None:
    """Refuse results that can't be told apart: as many as recordings, where the batch itself says how many."""
    if processed is None:
        raise ModelError(f"{type(model).__name__}._diarize_output_processing returned None: return a list of results.")
    if isinstance(batch, AudioBatch) and isinstance(processed, list) and len(processed) != len(uniq_ids):
        raise ModelError(
            f"{type(model).__name__}._diarize_output_processing returned {len(processed)} results for "
            f"{len(uniq_ids)} recordings: return one for each, in order."
        )
