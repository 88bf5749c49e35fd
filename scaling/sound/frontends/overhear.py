"""Our own backend: clip by clip on a CPU, in memory that stays in cache; fused on a GPU."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from scaling.settings import Features
from scaling.sound.frontends.fused import fused, fusible, packed
from scaling.sound.frontends.plain import OFFSET, QUIETEST, TWOFOLD, Plain, passt_scaled
from scaling.sound.frontends.spectra import Fourier

BLOCK = 2**19  # samples transformed at once, 2 MiB: less costs calls, more gains nothing (measured)
GROUP = 32  # mel bands in one product: neighbours share bins, so few of the zeros are multiplied


class Overhear(Plain):
    """Our own, made for CPUs: clip by clip in memory that stays in cache, clips side by side."""

    spectrum: Fourier

    def __init__(self, features: Features, rate: int) -> None:
        super().__init__(features, rate, Fourier(features))

    def place(self, features: Features) -> None:
        """See Plain."""
        super().place(features)
        self.groups: list[tuple[slice, slice]] = []  # mel bands, and the bins they touch
        for rows in (slice(i, i + GROUP) for i in range(0, features.mels, GROUP)):
            touched = self.mel_FQ[rows].any(dim=0).nonzero()
            self.groups.append((rows, slice(int(touched[0]), int(touched[-1]) + 1)))
        if fusible(features):
            for name, table in packed(self.mel_FQ.numpy()).items():
                self.register_buffer(name, table, persistent=False)

    def compute(self, waves_BT: Tensor) -> Tensor:
        """Plain where a gradient is asked for or filters learn (all their bins, zeros too); else on
        a GPU fused where that can be, on a CPU on torch's many threads.
        """
        asked = torch.is_grad_enabled() and waves_BT.requires_grad
        if asked or self.features.trainable != "none":
            return super().compute(waves_BT)
        if waves_BT.is_cuda and fusible(self.features):
            return fused(self, waves_BT, super().compute)
        if waves_BT.device.type != "cpu":
            return super().compute(waves_BT)
        waves_BT = waves_BT.detach()
        clips, samples = waves_BT.shape
        whole = samples + self.padding - len(self.spectrum.window)
        frames = 1 + whole // self.features.hop
        features_BFN = waves_BT.new_empty(clips, self.features.mels, frames)
        threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
        if threads == 1 or clips == 0:
            self._fill(features_BFN, waves_BT)
            return features_BFN
        workers = min(threads, clips)

        def work(first: int) -> None:
            torch.set_num_threads(1)
            with torch.inference_mode(inference):  # each thread has its own mode
                self._fill(features_BFN[first::workers], waves_BT[first::workers])

        # A lone clip too is one thread's work: shared among several it may be rounded differently.
        try:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, range(workers)))
        finally:
            torch.set_num_threads(threads)  # else threads born later would start with the 1 above
        return features_BFN

    def _fill(self, features_BFN: Tensor, waves_BT: Tensor) -> None:
        """Compute the features of waves one after another, on this thread.

        All products go through buffers of this call, aligned alike for every clip: the last bits of
        MKL's products may depend on alignment.
        """
        window, hop, perceptual = self.spectrum.window, self.spectrum.hop, self.perceptual
        size, count = len(window), features_BFN.shape[2]
        block = min(count, max(1, BLOCK // size))
        padded_T = window.new_empty(waves_BT.shape[1] + self.padding)
        frames_NT = padded_T.as_strided((count, size), (hop, 1))
        windowed_NT = window.new_empty(block, size)
        power_NQ = waves_BT.new_empty(count, size // 2 + 1)
        bands_FN = waves_BT.new_empty(features_BFN.shape[1:])
        parts = [slice(i, min(i + block, count)) for i in range(0, count, block)]
        blocks = [(frames_NT[n], windowed_NT[: n.stop - n.start], power_NQ[n]) for n in parts]
        unit = TWOFOLD if perceptual else 1.0
        products = [
            (self.mel_FQ[f, q] * unit, power_NQ[:, q].t(), bands_FN[f]) for f, q in self.groups
        ]
        for wave_T, features_FN in zip(waves_BT, features_BFN, strict=True):
            torch.cat(self.padded(wave_T), out=padded_T)
            for frames, windowed, power in blocks:
                torch.mul(frames, window, out=windowed)
                squares = torch.view_as_real(torch.fft.rfft(windowed)).square_()
                torch.add(squares[..., 0], squares[..., 1], out=power)
            if perceptual:
                self._log2_(power_NQ)
            elif self.vggish:
                power_NQ.sqrt_()
            for filters, power, bands in products:
                torch.mm(filters, power, out=bands)
            if perceptual:
                torch.add(bands_FN, self.weighting_F1, out=features_FN)
            elif self.vggish:
                torch.log(bands_FN.add_(OFFSET), out=features_FN)
            elif self.passt:
                features_FN.copy_(passt_scaled(bands_FN))
            else:
                torch.mul(self._log2_(bands_FN), TWOFOLD, out=features_FN)

    def _log2_(self, power: Tensor) -> Tensor:
        floor = self.features.floor or QUIETEST
        if self.features.range_db > 0:
            floor = max(floor, float(power.amax()) * 10 ** (-self.features.range_db / 10))
        return power.clamp_(min=floor).log2_()
