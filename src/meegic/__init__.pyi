from .base.errors import ConfigError as ConfigError
from .base.errors import ConvergenceError as ConvergenceError
from .base.errors import ConvergenceWarning as ConvergenceWarning
from .base.errors import DataWarning as DataWarning
from .base.errors import FileFormatError as FileFormatError
from .base.errors import InputError as InputError
from .base.errors import IntegrityError as IntegrityError
from .base.errors import MeegicError as MeegicError
from .base.errors import MissingDependencyError as MissingDependencyError
from .base.errors import NotFittedError as NotFittedError
from .base.errors import OptionError as OptionError
from .base.errors import OutputError as OutputError
from .base.errors import PlausibilityError as PlausibilityError
from .base.errors import RankError as RankError
from .base.errors import ReproducibilityWarning as ReproducibilityWarning
from .base.errors import ShapeError as ShapeError
from .base.errors import WorkerLostError as WorkerLostError
from .bids.recordings import read_recording as read_recording
from .clean.edge import check_recording as check_recording
from .clean.findings import Finding as Finding
from .clean.findings import Findings as Findings
from .components.estimator import AMICA as AMICA
from .simulation.edge.recording import simulate_recording as simulate_recording
from .simulation.truth import RecordingTruth as RecordingTruth
from .simulation.truth import read_truth as read_truth

__version__: str
