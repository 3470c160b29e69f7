/// A task of GLUE: what its rows are, how it is measured and how it is trained.
///
/// > Source: Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding".
public enum GLUETask: String, Sendable, Hashable, CaseIterable {
    /// The Corpus of Linguistic Acceptability.
    case cola
    /// The Stanford Sentiment Treebank.
    case sst2
    /// The Microsoft Research Paraphrase Corpus.
    case mrpc
    /// The Semantic Textual Similarity Benchmark, whose labels are numbers from 0 to 5.
    case stsb
    /// Quora Question Pairs.
    case qqp
    /// Multi-Genre Natural Language Inference, which has two validation sets.
    case mnli
    /// Question-answering Natural Language Inference.
    case qnli
    /// Recognizing Textual Entailment.
    case rte
    /// The Winograd Schema Challenge, which is no part of the mean.
    case wnli

    /// The tasks whose mean is the score of GLUE, in the order of tables.
    public static let scored: [GLUETask] = [.cola, .sst2, .mrpc, .stsb, .qqp, .mnli, .qnli, .rte]

    /// The name as papers print it: `SST-2`.
    public var title: String {
        switch self {
        case .cola: "CoLA"
        case .sst2: "SST-2"
        case .stsb: "STS-B"
        case .mrpc, .qqp, .mnli, .qnli, .rte, .wnli: rawValue.uppercased()
        }
    }

    /// The names of the columns of texts on the Hub.
    public var textColumns: [String] {
        switch self {
        case .cola, .sst2: ["sentence"]
        case .mrpc, .stsb, .rte, .wnli: ["sentence1", "sentence2"]
        case .qqp: ["question1", "question2"]
        case .mnli: ["premise", "hypothesis"]
        case .qnli: ["question", "sentence"]
        }
    }

    /// The names of the classes by number; none for regression.
    public var labelNames: [String] {
        switch self {
        case .cola: ["unacceptable", "acceptable"]
        case .sst2: ["negative", "positive"]
        case .mrpc: ["not_equivalent", "equivalent"]
        case .stsb: []
        case .qqp: ["not_duplicate", "duplicate"]
        case .mnli: ["entailment", "neutral", "contradiction"]
        case .qnli, .rte: ["entailment", "not_entailment"]
        case .wnli: ["not_entailment", "entailment"]
        }
    }

    /// Whether labels are numbers, not classes.
    public var isRegression: Bool { self == .stsb }

    /// What a model is measured by, in the order of the original's evaluators.
    public var metrics: [GLUEMetric] {
        switch self {
        case .cola: [.matthewsCorrelation]
        case .stsb: [.spearman]
        case .mrpc, .qqp: [.accuracy, .f1]
        case .sst2, .mnli, .qnli, .rte, .wnli: [.accuracy]
        }
    }

    /// The validation sets.
    public var validationParts: [GLUEPart] { self == .mnli ? [.matched, .mismatched] : [.validation] }

    /// The number of rows of a part of the whole data.
    ///
    /// - Parameter part: The part.
    /// - Returns: The number; nil for a part that the task does not have.
    public func rowCount(of part: GLUEPart) -> Int? {
        let (train, validation, mismatched): (Int, Int, Int?) =
            switch self {
            case .cola: (8551, 1043, nil)
            case .sst2: (67349, 872, nil)
            case .mrpc: (3668, 408, nil)
            case .stsb: (5749, 1500, nil)
            case .qqp: (363_846, 40430, nil)
            case .mnli: (392_702, 9815, 9832)
            case .qnli: (104_743, 5463, nil)
            case .rte: (2490, 277, nil)
            case .wnli: (635, 71, nil)
            }
        switch part {
        case .train: return train
        case .validation: return mismatched == nil ? validation : nil
        case .matched: return mismatched == nil ? nil : validation
        case .mismatched: return mismatched
        }
    }

    /// Whether training begins with a model that was trained on MNLI, where there is one.
    public var beginsWithMNLI: Bool { [.rte, .mrpc, .stsb].contains(self) }
}

/// A part of a task's data.
public enum GLUEPart: String, Sendable, Hashable, CaseIterable {
    /// The rows to train on.
    case train
    /// The rows to measure with (`dev`); the labels of the test set are not public.
    case validation
    /// Those of MNLI from the genres of its training set.
    case matched
    /// Those of MNLI from other genres.
    case mismatched

    /// The name of the split on the Hub.
    var split: String {
        switch self {
        case .train, .validation: rawValue
        case .matched, .mismatched: "validation_\(rawValue)"
        }
    }
}

/// What a task of GLUE is measured by, under transformers' names.
public enum GLUEMetric: String, Sendable, Hashable, CaseIterable {
    /// The share of rows whose class was predicted.
    case accuracy
    /// F1 of class 1.
    case f1
    /// Matthews' correlation coefficient.
    case matthewsCorrelation = "matthews_correlation"
    /// Pearson's correlation coefficient.
    case pearson
    /// Spearman's correlation coefficient.
    case spearman = "spearmanr"
}

// MARK: - How tasks are trained

extension GLUETask {
    /// The values that a task is trained with.
    public struct Hyperparameters: Sendable, Hashable {
        /// The peak learning rate.
        public let learningRate: Double
        /// The decoupled weight decay, which the learning rate does not multiply.
        public let weightDecay: Double
        /// Passes over the data.
        public let epochs: Int
        /// Rows per batch; nil where the source does not say.
        public let batchSize: Int?
        /// Batches between evaluations; nil where the source does not say.
        public let evaluationInterval: Int?
    }

    /// Where values are from.
    public enum HyperparameterSource: Sendable, Hashable, CaseIterable {
        /// The defaults of the jobs in ModernBERT's code.
        case runner
        /// Those that ModernBERT's search chose for its base model.
        case base
        /// Those that it chose for its large model.
        case large
    }

    /// The values that a task is trained with.
    ///
    /// - Parameter source: Where they are from.
    /// - Returns: The values; nil for WNLI.
    ///
    /// > Source: ModernBERT's GLUE runner, and tables of its paper.
    public func hyperparameters(_ source: HyperparameterSource = .runner) -> Hyperparameters? {
        func runner(_ rate: Double, _ decay: Double, _ epochs: Int, _ batch: Int, _ interval: Int) -> Hyperparameters {
            Hyperparameters(
                learningRate: rate,
                weightDecay: decay,
                epochs: epochs,
                batchSize: batch,
                evaluationInterval: interval
            )
        }
        func chosen(_ rate: Double, _ decay: Double, _ epochs: Int) -> Hyperparameters {
            Hyperparameters(
                learningRate: rate,
                weightDecay: decay,
                epochs: epochs,
                batchSize: nil,
                evaluationInterval: nil
            )
        }
        let values: (runner: Hyperparameters, base: Hyperparameters, large: Hyperparameters)
        switch self {
        case .cola: values = (runner(5e-5, 5e-6, 10, 32, 250), chosen(8e-5, 1e-6, 5), chosen(3e-5, 8e-6, 5))
        case .sst2: values = (runner(3e-5, 3e-6, 3, 16, 500), chosen(8e-5, 1e-5, 2), chosen(1e-5, 1e-6, 3))
        case .mrpc: values = (runner(8e-5, 8e-6, 10, 32, 100), chosen(5e-5, 5e-6, 10), chosen(8e-5, 5e-6, 2))
        case .stsb: values = (runner(3e-5, 3e-6, 10, 32, 200), chosen(8e-5, 5e-6, 10), chosen(8e-5, 1e-5, 10))
        case .qqp: values = (runner(3e-5, 3e-6, 5, 16, 2000), chosen(5e-5, 5e-6, 10), chosen(5e-5, 8e-6, 2))
        case .mnli: values = (runner(5e-5, 1e-6, 2, 64, 2300), chosen(5e-5, 5e-6, 1), chosen(3e-5, 1e-5, 1))
        case .qnli: values = (runner(1e-5, 1e-6, 10, 16, 1000), chosen(8e-5, 5e-6, 2), chosen(3e-5, 5e-6, 2))
        case .rte: values = (runner(1e-5, 1e-5, 3, 16, 100), chosen(5e-5, 1e-5, 3), chosen(5e-5, 8e-6, 3))
        case .wnli: return nil
        }
        switch source {
        case .runner: return values.runner
        case .base: return values.base
        case .large: return values.large
        }
    }
}
