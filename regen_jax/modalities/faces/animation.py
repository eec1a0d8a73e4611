"""Tracks of a talking face: a mouth that follows speech, blinks and a slow pose."""

from collections.abc import Sequence

import numpy as np

from regen_jax.modalities.faces.face import RATE, TRACKS
from regen_jax.modalities.faces.visemes import mouth_tracks

_BLINK_EVERY, _BLINK_GAP = 2.5, 0.5
"""Mean time between blinks, and the shortest, in seconds."""
_CLOSING, _OPENING = 0.08, 0.16
_POSE = (0.4, 0.3, 0.35)
"""Standard deviations of yaw, pitch and roll about which the head wanders."""
_POSE_TIME = 0.6
"""Correlation time of the pose in seconds."""


def frame_times(num_frames: int) -> np.ndarray:
    """Returns the middle of each frame in seconds, f64[T]."""
    return (np.arange(num_frames) + 0.5) / RATE


def animate(
    random: np.random.RandomState,
    phonemes: Sequence[tuple[str, float]],
    end: float,
    num_frames: int,
) -> np.ndarray:
    """Returns the tracks of a clip, f32[T, 7]; the first frame is the neutral face.

    Args:
      random: of blinks and pose.
      phonemes: names and starts in seconds, see `mouth_tracks`.
      end: of the last phoneme, in seconds.
      num_frames: T.
    """
    times = frame_times(num_frames)
    tracks = np.zeros((num_frames, len(TRACKS)), np.float32)
    tracks[:, :3] = mouth_tracks(phonemes, end, times)
    tracks[:, 3] = _blinks(random, times)
    tracks[:, 4:] = _wander(random, num_frames)
    tracks[0] = 0
    return tracks


def _blinks(random: np.random.RandomState, times: np.ndarray) -> np.ndarray:
    """Returns how far eyes are closed, f32[T]: lids fall, and rise half as fast."""
    closed = np.zeros(len(times))
    start = 0.2 + random.exponential(_BLINK_EVERY)
    while start < times[-1]:
        since = times - start
        shape = np.interp(since, (0, _CLOSING, _CLOSING + _OPENING), (0, 1, 0), 0, 0)
        closed = np.maximum(closed, shape)
        start += _BLINK_GAP + random.exponential(_BLINK_EVERY)
    return closed


def _wander(random: np.random.RandomState, num_frames: int) -> np.ndarray:
    """Returns a smooth random pose, f32[T, 3] in [-1, 1], that starts at 0.

    Noise that two filters of the same time constant smooth.
    """
    keep = np.exp(-1 / (RATE * _POSE_TIME))
    # So that the second filter's output has the standard deviation of `_POSE`.
    gain = np.sqrt((1 - keep**2) ** 3 / (1 + keep**2))
    noise = random.normal(size=(num_frames, 3)) * gain * np.array(_POSE)
    slow = pose = np.zeros(3)
    poses = []
    for step in noise:
        poses.append(pose)
        slow = keep * slow + step
        pose = keep * pose + slow
    return np.clip(poses, -1, 1).astype(np.float32)
