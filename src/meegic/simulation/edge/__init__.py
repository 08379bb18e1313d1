"""Where the simulation meets MNE: head model, sensors, `mne.io.Raw`."""
