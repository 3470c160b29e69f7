import EttinCorpus
import EttinRecipes
import EttinTraining

extension RecipeReader {
    // MARK: - Checkpoints

    mutating func readCheckpoints(maximum: TrainingTime, _ model: RecipeModel) throws -> CheckpointSettings {
        var settings = CheckpointSettings()
        settings.saveFolder = try top.string("save_folder")
        settings.saveInterval = try interval("save_interval", of: maximum) ?? settings.saveInterval
        if let count = try top.int("save_num_checkpoints_to_keep", in: -1...Int.max), count != -1 {
            guard count > 0 else {
                throw top.problem(
                    "save_num_checkpoints_to_keep",
                    "is 0, which keeps nothing",
                    "1 or more, or -1 for all"
                )
            }
            settings.keepLast = count
        }
        settings.keepEvery = try interval("save_keep_every", of: maximum)
        settings.overwrite = try top.bool("save_overwrite") ?? false
        settings.loadPath = try top.string("load_path")
        settings.loadWeightsOnly = try top.bool("load_weights_only") ?? false
        settings.autoresume = try top.bool("autoresume") ?? false
        settings.resetTime = try top.bool("reset_time") ?? false
        settings.restartOverride = try top.bool("restart_override") ?? false
        settings.phase = try readPhase()
        if settings.autoresume {
            if settings.saveFolder == nil {
                throw top.problem("autoresume", "is true, but there is no save_folder", "the folder to resume in")
            }
            if settings.overwrite {
                throw top.problem("autoresume", "is true, but so is save_overwrite", "one of the two")
            }
        }
        noteLoading(settings)
        return settings
    }

    private mutating func noteLoading(_ settings: CheckpointSettings) {
        let needLoading = [
            ("load_weights_only", settings.loadWeightsOnly), ("reset_time", settings.resetTime),
            ("restart_override", settings.restartOverride),
        ]
        for (key, isSet) in needLoading where isSet && settings.loadPath == nil {
            notices.append("inert: \(key) without load_path")
        }
        guard settings.loadPath != nil else { return }
        if settings.loadWeightsOnly, settings.restartOverride {
            notices.append("inert: restart_override with load_weights_only, which loads no rates")
        }
        if !settings.loadWeightsOnly, !settings.resetTime {
            notices.append(
                "load_path without reset_time: the loaded run's clock continues, and max_duration counts from its start"
            )
        }
    }

    private mutating func readPhase() throws -> PretrainingPhase {
        if let phase = try top.choice("phase", PretrainingPhase.self) { return phase }
        // The published recipes say it in their names alone.
        guard let name = try top.string("run_name") else { return .step }
        for (mark, phase) in [("prolong_decay", PretrainingPhase.decay), ("de_decay", .ext)] where name.contains(mark) {
            notices.append("phase is taken to be \(phase.rawValue), because run_name has \"\(mark)\" in it")
            return phase
        }
        return .step
    }

    // MARK: - Logging

    mutating func readLogging(_ optimizer: OptimizerSettings, maximum: TrainingTime) throws -> LoggingSettings {
        var settings = LoggingSettings()
        settings.showsProgress = try top.bool("progress_bar") ?? true
        let console = try interval("console_log_interval", of: maximum) ?? TrainingTime(1, .batch)
        settings.consoleInterval = try top.bool("log_to_console") ?? false ? console : nil
        settings.logInterval = try interval("log_interval", of: maximum) ?? TrainingTime(1, .batch)
        let callbacks = try top.section("callbacks", PretrainingSchema.callbacks)
        if callbacks.has("speed_monitor") {
            let monitor = try callbacks.section("speed_monitor", PretrainingSchema.speedMonitor)
            settings.speedWindow = try monitor.int("window_size", in: 1...1 << 20) ?? 100
        }
        if callbacks.has("log_grad_norm") {
            let norm = try callbacks.section("log_grad_norm", PretrainingSchema.gradientNormLog)
            let interval = try norm.int("batch_log_interval", in: 1...Int.max) ?? 10
            if optimizer.logsGradientNorm {
                settings.gradientNormInterval = TrainingTime(Double(interval), .batch)
            } else {
                notices.append("inert: callbacks.log_grad_norm without optimizer.log_grad_norm: true")
            }
        }
        let reasons = [
            "scheduled_gc": "there is no garbage to collect",
            "packing_efficiency": "batches have no padding, so it is always 1",
            "memory_monitor": "memory is always logged", "runtime_estimator": "the time left is always shown",
            "optimizer_monitor": "norms come from log_grad_norm",
            "dataloader_speed": "waiting for data is always logged",
        ]
        for key in callbacks.keys {
            if let reason = reasons[key] { notices.append("ignored: callbacks.\(key) (\(reason))") }
        }
        try readLoggers(&settings)
        return settings
    }

    private mutating func readLoggers(_ settings: inout LoggingSettings) throws {
        guard let node = top.node("loggers") else { return }
        guard case .mapping(let members) = node.content else {
            throw top.problem("loggers", "is \(node.shownText)", "a mapping")
        }
        let section = try top.section("loggers", members.map(\.key))
        for (key, value) in members {
            // A mapping, as others have it, or nothing says that the logger is wanted; a Boolean says it or denies it.
            var isWanted = true
            if case .scalar = value.content, !value.isNull { isWanted = try section.bool(key) ?? true }
            switch key {
            case "tensorboard": settings.tensorboard = isWanted
            case "jsonl": settings.jsonl = isWanted
            default:
                let name = RecipeSection.joined("loggers", RecipeSection.shownKey(key))
                notices.append("ignored: \(name) (metrics go to metrics.jsonl and to TensorBoard's files)")
            }
        }
    }
}
