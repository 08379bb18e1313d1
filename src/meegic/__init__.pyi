from . import preprocessing as preprocessing
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
from .bids.components_table import ComponentsTable as ComponentsTable
from .bids.components_table import read_components_tsv as read_components_tsv
from .bids.components_tsv import mark_component as mark_component
from .bids.components_tsv import write_components_tsv as write_components_tsv
from .bids.recordings import read_recording as read_recording
from .clean.edge.asr import ASR as ASR
from .clean.edge.asr_cleaning import ASRReport as ASRReport
from .clean.edge.bads import BadChannelFindings as BadChannelFindings
from .clean.edge.bads import find_bads as find_bads
from .clean.edge.check import check_recording as check_recording
from .clean.edge.comparing import compare_recordings as compare_recordings
from .clean.edge.filtering import apply_filters as apply_filters
from .clean.edge.filtering import filter_recording as filter_recording
from .clean.edge.interpolating import (
    interpolate_bad_channels as interpolate_bad_channels,
)
from .clean.edge.line_noise import remove_line as remove_line
from .clean.edge.marking import annotate_muscle as annotate_muscle
from .clean.edge.marking import annotate_windows as annotate_windows
from .clean.edge.marking import score_muscle as score_muscle
from .clean.edge.outlying import annotate_artifacts as annotate_artifacts
from .clean.edge.outlying import find_bad_epochs as find_bad_epochs
from .clean.edge.resampling import resample_events as resample_events
from .clean.edge.resampling import resample_recording as resample_recording
from .clean.findings import Finding as Finding
from .clean.findings import Findings as Findings
from .clean.quality import Quality as Quality
from .components.amica import fit_amica as fit_amica
from .components.amicaout import AmicaOutput as AmicaOutput
from .components.checkpoint import Checkpoints as Checkpoints
from .components.dipolarity import DipoleFits as DipoleFits
from .components.edge.amica_ica import AmicaICA as AmicaICA
from .components.edge.scoring import score_dipolarity as score_dipolarity
from .components.edge.scoring import score_mir as score_mir
from .components.edge.scoring import (
    score_mutual_information as score_mutual_information,
)
from .components.edge.scoring import score_pmi as score_pmi
from .components.eeglab import read_amicaout as read_amicaout
from .components.eeglab import write_amicaout as write_amicaout
from .components.estimator import AMICA as AMICA
from .components.fastica_estimator import FastICA as FastICA
from .components.information import (
    compute_mutual_information as compute_mutual_information,
)
from .components.model import AmicaModel as AmicaModel
from .components.model_file import read_model as read_model
from .components.options import AmicaOptions as AmicaOptions
from .components.scores import amari_distance as amari_distance
from .components.scores import match_components as match_components
from .components.selection import select_n_models as select_n_models
from .components.smoothing import smooth_posteriors as smooth_posteriors
from .labels.edge.features import get_iclabel_features as get_iclabel_features
from .labels.edge.features import get_megnet_features as get_megnet_features
from .labels.edge.features import get_topomaps as get_topomaps
from .labels.edge.labelling import iclabel_label_components as iclabel_label_components
from .labels.edge.labelling import label_components as label_components
from .labels.edge.labelling import megnet_label_components as megnet_label_components
from .labels.edge.votes import combine_labels as combine_labels
from .labels.iclabel import run_iclabel as run_iclabel
from .labels.result import ComponentLabels as ComponentLabels
from .pipeline.progress import show_progress as show_progress
from .simulation.edge.recording import simulate_recording as simulate_recording
from .simulation.truth import RecordingTruth as RecordingTruth
from .simulation.truth import read_truth as read_truth
from .sources.estimator import gamma_lambda_map as gamma_lambda_map
from .sources.estimator import gamma_lambda_map_sflex as gamma_lambda_map_sflex
from .sources.estimator import gamma_map as gamma_map
from .sources.estimator import gamma_map_sflex as gamma_map_sflex
from .sources.leadfield import LeadfieldData as LeadfieldData
from .sources.minimum_norm_estimator import BMN as BMN
from .sources.minimum_norm_estimator import BMN_joint as BMN_joint
from .sources.minimum_norm_estimator import eloreta as eloreta
from .sources.posterior import Posterior as Posterior
from .sources.problem import SolverOptions as SolverOptions
from .sources.simulators import SensorSimulator as SensorSimulator
from .sources.simulators import SourceSimulator as SourceSimulator
from .sources.source_estimator import SourceEstimator as SourceEstimator

__version__: str
