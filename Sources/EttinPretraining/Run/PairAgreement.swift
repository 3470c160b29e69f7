import EttinModel
import EttinTraining

/// What the recipes of both halves must agree in to be trained on one stream of data.
enum PairAgreement {
    /// Compares two recipes.
    ///
    /// - Throws: `TrainingError` naming the first key in which they may not differ, or must.
    static func check(_ first: PretrainingRecipe, _ second: PretrainingRecipe) throws {
        guard first.kind != second.kind else {
            throw TrainingError(
                .invalidOption,
                "--lockstep",
                found: "was given two \(first.kind.name)s",
                expected: "an encoder's and a decoder's recipe"
            )
        }
        func same<Value: Equatable>(_ key: String, _ value: (PretrainingRecipe) -> Value) throws {
            let (one, other) = (value(first), value(second))
            guard one != other else { return }
            throw TrainingError(
                .invalidOption,
                key,
                found: "is \(one) for the \(first.kind.name) and \(other) for the \(second.kind.name)",
                expected: "the same, as both halves see the same data"
            )
        }
        try same("seed") { $0.seed }
        try same("train_loader.dataset.local") { $0.data.displayPath }
        try same("train_loader.dataset.streams") { $0.data.streams.map { "\($0.name): \($0.weight)" } }
        try same("train_loader.dataset.shuffle") { $0.data.shuffle }
        try same("train_loader.dataset.shuffle_seed") { $0.data.shuffleSeed }
        try same("the order of the samples") { $0.data.orderName }
        try same("max_seq_len") { $0.data.maxSequenceLength }
        try same("train_loader.drop_last") { $0.data.dropLast }
        try same("max_duration") { $0.maxDuration }
        try same("global_train_batch_size") { $0.globalTrainBatchSize }
        try same("device_train_microbatch_size") { $0.microbatchSize.map(String.init) ?? "auto" }
        try same("max_tokens_per_microbatch") { $0.maxTokensPerMicrobatch.map(String.init) ?? "not given" }
        try same("batch_size_warmup_tokens") { $0.batchSizeGrowth }
        try same("eval_loader.dataset.local") { $0.evalData?.displayPath ?? "not given" }
        try same("device") { $0.device }
        try same("save_interval") { $0.checkpoints.saveInterval }
        try same("autoresume") { $0.checkpoints.autoresume }
        // Otherwise the clocks of the halves part.
        for recipe in [first, second] where recipe.rules.tokenCounting != .data {
            throw TrainingError(
                .invalidOption,
                "rules.token_counting",
                found: "is \(recipe.rules.tokenCounting.rawValue) for the \(recipe.kind.name)",
                expected: "data, so that both halves count the same tokens"
            )
        }
    }
}
