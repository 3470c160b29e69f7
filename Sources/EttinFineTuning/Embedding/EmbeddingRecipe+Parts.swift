import EttinEvaluation
import EttinFiles
import EttinInference
import EttinRecipes
import EttinTables
import EttinTraining

extension EmbeddingRecipe {
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

    /// What measures the model besides its loss.
    ///
    /// - Parameter data: What it measures on.
    /// - Returns: The evaluator, nil for none, and what of the recipe has no effect.
    /// - Throws: `TrainingError` for an evaluator that is not known or values that are wrong; what reading data throws.
    func measures(_ data: EvaluatorData) throws -> (evaluator: (any Evaluator<any TextVectors>)?, notices: [String]) {
        guard let evaluator else { return (nil, []) }
        return try TrainingError.translatingRecipe {
            let recipe = try EvaluatorRecipe(evaluator.node, path: evaluator.path, name: evaluator.name)
            return (try recipe.embeddingEvaluator(data), recipe.notices)
        }
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
