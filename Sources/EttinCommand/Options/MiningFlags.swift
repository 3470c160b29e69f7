public import ArgumentParser
public import EttinEvaluation
import EttinInference

/// How candidates are chosen, discarded and sampled.
struct MiningCandidateOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "Number of negatives per anchor.")
    var numNegatives = 3

    @Option(parsing: .unconditional, help: "Number of nearest candidates to skip.")
    var rangeMin = 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Number of nearest candidates to take negatives from (default: from the other options).",
            valueName: "count"
        )
    )
    var rangeMax: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Discard candidates that score less than this below the anchor's lowest positive.",
            valueName: "margin"
        )
    )
    var absoluteMargin: Float?

    @Option(parsing: .unconditional, help: ArgumentHelp("Deprecated name of --absolute-margin.", valueName: "margin"))
    var margin: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Discard candidates that score less than this share of the lowest positive's score below it.",
            valueName: "share"
        )
    )
    var relativeMargin: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Discard candidates that score more than this.", valueName: "score")
    )
    var maxScore: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Discard candidates that score less than this.", valueName: "score")
    )
    var minScore: Float?

    @Option(help: "Take the best candidates, or sample among those that are left.")
    var samplingStrategy = MiningOptions.Strategy.top

    @Option(help: "Random seed of --sampling-strategy random, as of Python's random.seed.")
    var seed: UInt64 = 42

    @Option(
        help: ArgumentHelp(
            "Reranker folder or name, which scores candidates and positives anew before margins and bounds.",
            valueName: "model"
        ),
        completion: .directory
    )
    var crossEncoder: String?

    @Option(
        help: ArgumentHelp("Prompt to prepend to each anchor (default: the model's for queries).", valueName: "text")
    )
    var queryPrompt: String?

    @Option(help: ArgumentHelp("Name of one of the model's prompts to prepend to each anchor.", valueName: "name"))
    var queryPromptName: String?

    @Option(
        help: ArgumentHelp(
            "Prompt to prepend to each text of the corpus (default: the model's for documents).",
            valueName: "text"
        )
    )
    var corpusPrompt: String?

    @Option(
        help: ArgumentHelp(
            "Name of one of the model's prompts to prepend to each text of the corpus.",
            valueName: "name"
        )
    )
    var corpusPromptName: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of anchors searched for at a time, which bounds memory.", valueName: "count")
    )
    var faissBatchSize = 16384

    @Flag(
        help: "Rank candidates by the inner product, as a flat index of FAISS does; the search is exact either way."
    )
    var useFaiss = false

    func validate() throws {
        for (first, second, names) in [
            (queryPrompt, queryPromptName, "--query-prompt and --query-prompt-name"),
            (corpusPrompt, corpusPromptName, "--corpus-prompt and --corpus-prompt-name"),
        ] where first != nil && second != nil {
            throw ValidationError("\(names) cannot be combined")
        }
        if margin != nil, absoluteMargin != nil {
            throw ValidationError("--margin and --absolute-margin cannot be combined")
        }
    }

    /// Puts the flags into options.
    func set(_ options: inout MiningOptions) {
        func prompt(_ text: String?, _ name: String?) -> TextEmbeddingPipeline.Prompt {
            text.map { .text($0) } ?? name.map { .named($0) } ?? .default
        }
        options.numNegatives = numNegatives
        options.rangeMin = rangeMin
        options.rangeMax = rangeMax
        options.absoluteMargin = absoluteMargin ?? margin
        options.relativeMargin = relativeMargin
        options.maxScore = maxScore
        options.minScore = minScore
        options.samplingStrategy = samplingStrategy
        options.seed = seed
        options.queryPrompt = prompt(queryPrompt, queryPromptName)
        options.corpusPrompt = prompt(corpusPrompt, corpusPromptName)
        options.searchBlock = faissBatchSize
        options.usesInnerProduct = useFaiss
    }

    /// What flags say that is not done, or has a newer name.
    var notices: [String] {
        var notices: [String] = []
        if margin != nil { notices.append("note: --margin is deprecated; --absolute-margin has the same effect") }
        let isBounded = (absoluteMargin ?? margin ?? relativeMargin ?? maxScore ?? minScore) != nil
        if crossEncoder != nil, !isBounded {
            notices.append(
                "note: --cross-encoder has no effect without --absolute-margin, --relative-margin, --max-score or "
                    + "--min-score"
            )
        }
        return notices
    }

    /// The folder of the cross-encoder, downloaded if it is not there; nil where none is asked.
    func scorerFolder() throws -> String? {
        var options = MiningOptions()
        set(&options)
        guard options.hasThresholds else { return nil }
        return try crossEncoder.map { try HubAccess.modelFolder($0, revision: nil) }
    }
}

/// The rows that come out.
struct MiningRowOptions: ParsableArguments {
    @Option(help: "Rows to write.")
    var outputFormat: OutputFormat?

    @Flag(help: "Write scores: instead of labels, or as a list beside the texts.")
    var outputScores = false

    @Flag(help: "Keep positives among the candidates, for n-tuples that show the ranking.")
    var includePositives = false

    @Flag(inversion: .prefixedNo, help: "Deprecated name of --output-format triplet, or n-tuple.")
    var asTriplets: Bool?

    enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
        case triplet
        case nTuple = "n-tuple"
        case labeledPair = "labeled-pair"
        case labeledList = "labeled-list"
        case nTupleScores = "n-tuple-scores"
    }

    func validate() throws {
        if asTriplets != nil, outputFormat != nil {
            throw ValidationError("--as-triplets and --output-format cannot be combined")
        }
    }

    /// Puts the flags into options.
    func set(_ options: inout MiningOptions) {
        options.outputScores = outputScores || outputFormat == .nTupleScores
        options.includePositives = includePositives
        switch outputFormat {
        case .nTuple, .nTupleScores: options.outputFormat = .nTuple
        case .labeledPair: options.outputFormat = .labeledPair
        case .labeledList: options.outputFormat = .labeledList
        case .triplet: options.outputFormat = .triplet
        case nil: options.outputFormat = asTriplets == false ? .nTuple : .triplet
        }
    }

    /// What flags say that is done otherwise, or has a newer name.
    var notices: [String] {
        var notices: [String] = []
        if let asTriplets {
            let format = asTriplets ? "triplet" : "n-tuple"
            notices.append("note: --as-triplets is deprecated; --output-format \(format) has the same effect")
        }
        if outputFormat == .nTupleScores {
            notices.append(
                "note: --output-format n-tuple-scores is deprecated; n-tuple with --output-scores has the same effect"
            )
        }
        if includePositives, outputFormat != .nTuple, outputFormat != .nTupleScores {
            notices.append("note: --include-positives writes n-tuples, whose columns keep the order of the ranking")
        }
        return notices
    }
}

extension MiningOptions.Strategy: ExpressibleByArgument {}
