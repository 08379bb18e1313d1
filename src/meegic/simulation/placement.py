"""Where cortical patches lie in a head, which way they point, what they emit."""

from typing import NamedTuple

import numpy as np

CORTEX = (0.55, 0.83)
"""Depth range of cortical patches, in units of the head's radius from its centre."""

PATCH_WIDTH_M = 0.008
"""Standard deviation of a patch's extent; about 3 to 5 square centimetres."""

SHIFT_M = (0.015, 0.035)
"""How far a patch lies from its place in the other mixing condition."""


class Patches(NamedTuple):
    """Cortical patches.

    Attributes
    ----------
    positions : array, shape (n_patches, 3)
        Their middles in m in head coordinates.
    orientations : array, shape (n_patches, 3)
        Unit vectors.
    """

    positions: np.ndarray
    orientations: np.ndarray


def choose_patches(
    grid: np.ndarray, n_patches: int, *, center: np.ndarray, rng: np.random.Generator
) -> Patches:
    """Spread patches over a grid, each as far from the others as ten tries allow.

    Parameters
    ----------
    grid : array, shape (n_positions, 3)
        Where a patch may lie, in m.
    n_patches : int
        How many.
    center : array, shape (3,)
        Centre of the head in m.
    rng : numpy.random.Generator
        Where the randomness comes from.

    Returns
    -------
    Patches
        Their places and random orientations, mostly radial.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> grid = rng.standard_normal((100, 3))
    >>> choose_patches(grid, 5, center=np.zeros(3), rng=rng).positions.shape
    (5, 3)
    """
    chosen = [int(rng.integers(len(grid)))]
    while len(chosen) < n_patches:
        tries = rng.integers(len(grid), size=10)
        gaps = np.linalg.norm(grid[tries, None] - grid[None, chosen], axis=2)
        chosen.append(int(tries[gaps.min(axis=1).argmax()]))
    positions = grid[chosen]
    return Patches(positions, _orient(positions, center, rng))


def shift_patches(
    patches: Patches, grid: np.ndarray, *, center: np.ndarray, rng: np.random.Generator
) -> Patches:
    """Move every patch to a place nearby and turn it: another mixing condition.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> grid = np.array([[0.0, 0.0, 0.05], [0.02, 0.0, 0.05]])
    >>> here = Patches(grid[:1], grid[:1] / 0.05)
    >>> shift_patches(here, grid, center=np.zeros(3), rng=rng).positions
    array([[0.02, 0.  , 0.05]])
    """
    near, far = SHIFT_M
    moved = []
    for position in patches.positions:
        distance = np.linalg.norm(grid - position, axis=1)
        moved.append(rng.choice(grid[(distance >= near) & (distance <= far)]))
    positions = np.array(moved)
    return Patches(positions, _orient(positions, center, rng))


def compute_patch_fields(
    patches: Patches, grid: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Compute the field of every patch for a total moment of 1 A m.

    Parameters
    ----------
    patches : Patches
        The patches.
    grid : array, shape (n_positions, 3)
        Where the gain was computed, in m.
    gain : array, shape (n_channels, n_positions, 3)
        Field of a dipole of 1 A m along each axis.

    Returns
    -------
    array, shape (n_channels, n_patches)
        The fields.

    Examples
    --------
    >>> grid, gain = np.zeros((1, 3)), np.ones((4, 1, 3))
    >>> up = Patches(np.zeros((1, 3)), np.array([[0.0, 0.0, 1.0]]))
    >>> compute_patch_fields(up, grid, gain).ravel()
    array([1., 1., 1., 1.])
    """
    squared = ((grid[:, None] - patches.positions) ** 2).sum(axis=2)
    weights = np.exp(-squared / (2 * PATCH_WIDTH_M**2))
    weights /= weights.sum(axis=0)
    return np.einsum("cgk,gp,pk->cp", gain, weights, patches.orientations)


def _orient(
    positions: np.ndarray, center: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    outwards = positions - center
    outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    signs = rng.choice([-1.0, 1.0], size=(len(positions), 1))
    vectors = signs * outwards + 0.5 * rng.standard_normal(positions.shape)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
