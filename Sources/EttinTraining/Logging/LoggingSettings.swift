/// What a run logs, and how often.
public struct LoggingSettings: Hashable, Sendable {
    /// How often a line appears on the console, nil for never; `console_log_interval`.
    package var consoleInterval: TrainingTime?
    /// Whether the console shows progress; `progress_bar`.
    package var showsProgress: Bool
    /// How often a line is written to the files; `log_interval`.
    package var logInterval: TrainingTime
    /// How often norms of the gradient are measured, nil for never; `callbacks.log_grad_norm.batch_log_interval`.
    package var gradientNormInterval: TrainingTime?
    /// The number of batches over which speed is averaged; `callbacks.speed_monitor.window_size`.
    package var speedWindow: Int
    /// Whether event files are written; `loggers.tensorboard`.
    package var tensorboard: Bool
    /// Whether `metrics.jsonl` is written; `loggers.jsonl`.
    package var jsonl: Bool

    /// Creates settings.
    ///
    /// - Parameters:
    ///   - consoleInterval: How often a line appears on the console.
    ///   - showsProgress: Whether the console shows progress.
    ///   - logInterval: How often a line is written to the files.
    ///   - gradientNormInterval: How often norms of the gradient are measured.
    ///   - speedWindow: The number of batches over which speed is averaged.
    ///   - tensorboard: Whether event files are written.
    ///   - jsonl: Whether `metrics.jsonl` is written.
    public init(
        consoleInterval: TrainingTime? = TrainingTime(1, .batch),
        showsProgress: Bool = true,
        logInterval: TrainingTime = TrainingTime(1, .batch),
        gradientNormInterval: TrainingTime? = nil,
        speedWindow: Int = 100,
        tensorboard: Bool = true,
        jsonl: Bool = true
    ) {
        self.consoleInterval = consoleInterval
        self.showsProgress = showsProgress
        self.logInterval = logInterval
        self.gradientNormInterval = gradientNormInterval
        self.speedWindow = speedWindow
        self.tensorboard = tensorboard
        self.jsonl = jsonl
    }
}
