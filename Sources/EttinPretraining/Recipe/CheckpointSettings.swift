package import EttinConversion
package import EttinTraining

/// The phases of the suite's training, by the tags of their checkpoints.
package enum PretrainingPhase: String, Hashable, Sendable, CaseIterable {
    /// The main pre-training.
    case step
    /// The context extension.
    case ext
    /// The decay.
    case decay
}

/// What a recipe says of saving, loading and resuming.
package struct CheckpointSettings: Hashable, Sendable {
    /// The folder of the run, nil for none in the recipe; `save_folder`.
    package var saveFolder: String?
    /// How often to save; `save_interval`.
    package var saveInterval: TrainingTime
    /// How many of the newest checkpoints to keep; `save_num_checkpoints_to_keep`, nil for all.
    package var keepLast: Int?
    /// Checkpoints at multiples of this are kept in any case; `save_keep_every`.
    package var keepEvery: TrainingTime?
    /// Whether files of an earlier run may be replaced; `save_overwrite`.
    package var overwrite: Bool
    /// The checkpoint to start from; `load_path`.
    package var loadPath: String?
    /// Whether only its weights are taken; `load_weights_only`.
    package var loadWeightsOnly: Bool
    /// Whether to resume from the newest checkpoint of the folder, if there is one; `autoresume`.
    package var autoresume: Bool
    /// Whether the counters start at zero after loading; `reset_time`.
    package var resetTime: Bool
    /// Whether learning rate and weight decay of the recipe replace the loaded ones; `restart_override`.
    package var restartOverride: Bool
    /// The phase, whose name begins the tags; `phase`.
    package var phase: PretrainingPhase

    /// Creates settings, by default those of the training code.
    ///
    /// - Parameters:
    ///   - saveFolder: The folder of the run.
    ///   - saveInterval: How often to save.
    ///   - keepLast: How many of the newest checkpoints to keep, nil for all.
    ///   - keepEvery: Checkpoints at multiples of this are kept in any case.
    ///   - overwrite: Whether files of an earlier run may be replaced.
    ///   - loadPath: The checkpoint to start from.
    ///   - loadWeightsOnly: Whether only its weights are taken.
    ///   - autoresume: Whether to resume from the newest checkpoint of the folder.
    ///   - resetTime: Whether the counters start at zero after loading.
    ///   - restartOverride: Whether learning rate and weight decay of the recipe replace the loaded ones.
    ///   - phase: The phase.
    package init(
        saveFolder: String? = nil,
        saveInterval: TrainingTime = TrainingTime(1000, .batch),
        keepLast: Int? = nil,
        keepEvery: TrainingTime? = nil,
        overwrite: Bool = false,
        loadPath: String? = nil,
        loadWeightsOnly: Bool = false,
        autoresume: Bool = false,
        resetTime: Bool = false,
        restartOverride: Bool = false,
        phase: PretrainingPhase = .step
    ) {
        self.saveFolder = saveFolder
        self.saveInterval = saveInterval
        self.keepLast = keepLast
        self.keepEvery = keepEvery
        self.overwrite = overwrite
        self.loadPath = loadPath
        self.loadWeightsOnly = loadWeightsOnly
        self.autoresume = autoresume
        self.resetTime = resetTime
        self.restartOverride = restartOverride
        self.phase = phase
    }
}

/// A smaller model whose weights a new one starts from; `init_from_checkpoint`.
package struct SmallerModelSettings: Hashable, Sendable {
    /// The model; `checkpoint_load_path`, with `checkpoint_run_name` where it is given.
    package var path: String
    /// Where the old weights go; `mode`.
    package var mode: WeightTiling

    /// Names a smaller model.
    ///
    /// - Parameters:
    ///   - path: The model.
    ///   - mode: Where the old weights go.
    package init(path: String, mode: WeightTiling = .tileWeightsFromMiddle) {
        self.path = path
        self.mode = mode
    }
}

/// An average of weights that is kept or made beside the trained ones.
package enum CheckpointAveraging: Hashable, Sendable {
    /// An exponential moving average during training; `algorithms.ema`.
    case ema(ExponentialAveraging)
    /// The mean of the last checkpoints, at the end; `average_last_checkpoints`.
    case lastCheckpoints(Int)
}
