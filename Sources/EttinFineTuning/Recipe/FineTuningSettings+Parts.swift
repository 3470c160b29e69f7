import EttinFiles
import EttinRecipes
import EttinTables
import EttinTraining

extension FineTuningSettings {
    /// How rows make batches.
    ///
    /// - Parameter isEvaluation: Whether those of evaluations.
    /// - Returns: What the samplers are told.
    func sampling(isEvaluation: Bool) -> BatchSampling.Options {
        var options = BatchSampling.Options(
            batchSize: isEvaluation ? arguments.evaluationBatchSize : arguments.trainBatchSize
        )
        if isEvaluation { options.batchSizeKey = "per_device_eval_batch_size" }
        options.sampler = batchSampler
        options.multiDatasetSampler = multiDatasetSampler
        options.dropsLast = arguments.dropsLast
        options.seed = UInt64(arguments.seed)
        options.dataSeed = arguments.dataSeed.map(UInt64.init)
        return options
    }

    /// The prompts of training.
    ///
    /// - Throws: `TrainingError` for what is neither a text nor a mapping of names.
    func trainingPrompts() throws -> TrainingPrompts {
        guard let prompts else { return .none }
        func refused(_ node: YAMLNode, _ key: String) -> TrainingError {
            TrainingError(
                .invalidOption,
                RecipeSection.place(prompts.name, node.line, key),
                found: "is \(node.shownText)",
                expected: "a text, or a mapping of columns or data sets to texts"
            )
        }
        func text(_ node: YAMLNode) -> String? {
            if case .scalar(let text, _) = node.content, !node.isNull { return text }
            return nil
        }
        if let text = text(prompts.node) { return TrainingPrompts(text) }
        guard case .mapping(let members) = prompts.node.content else { throw refused(prompts.node, prompts.path) }
        var named: [String: TrainingPrompts.Value] = [:]
        for (name, value) in members {
            if let text = text(value) {
                named[name] = .prompt(text)
                continue
            }
            let key = RecipeSection.joined(prompts.path, name)
            guard case .mapping(let columns) = value.content else { throw refused(value, key) }
            var texts: [String: String] = [:]
            for (column, value) in columns {
                guard let text = text(value) else { throw refused(value, RecipeSection.joined(key, column)) }
                texts[column] = text
            }
            named[name] = .columns(texts)
        }
        return TrainingPrompts(named: named)
    }
}
