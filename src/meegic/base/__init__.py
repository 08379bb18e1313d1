"""The ground floor: errors, checks, arrays, files. Imports only numpy and jax."""
