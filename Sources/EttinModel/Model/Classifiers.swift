// The heads that fine-tuning adds: a prediction head and a linear classifier over it.
public import Torch

/// A prediction head, dropout and a linear classifier.
final class ClassifierHead: Module {
    @Child("head") var prediction: PredictionHead
    @Child("classifier") var classifier: Linear
    private let dropout: Double
    private var fused: FusedHead?

    /// Creates a head with uninitialised parameters; without a number of outputs it has one for each label.
    init(_ configuration: ModernBERTConfiguration, outputs: Int? = nil) {
        dropout = configuration.classifierDropout
        super.init()
        prediction = PredictionHead(configuration)
        // An encoder's classifier always has a bias, a decoder's where the configuration says so.
        let hasBias = configuration.kind == .encoder || configuration.classifierBias
        classifier = Linear(configuration.hiddenSize, outputs ?? configuration.labelCount, hasBias: hasBias)
    }

    /// The scores, which a mixed precision gives in float32.
    func callAsFunction(_ hidden: Tensor, training: DropoutContext?, precision: Precision) -> Tensor {
        if let fused { return fused(hidden) }
        let predicted = prediction(hidden, training: training).dropout(dropout, training, place: DropoutPlace.head)
        let scores = classifier(predicted, training: training)
        return precision == .full ? scores : scores.to(.float32)
    }

    /// Prepacks the weights for inference on the CPU; scores are float32 from then on.
    func prepackWeights(_ precision: ComputeDType) {
        fused = FusedHead(
            prediction,
            output: classifier.adaptedWeight,
            bias: classifier.bias,
            precision: precision
        )
    }
}

// MARK: -

/// A model whose head is a prediction head and a classifier.
package protocol ClassifierModel: PretrainedModel {
    /// Prepacks the weights for inference on the CPU; see ``ModernBERT/prepackWeights(_:)``.
    ///
    /// Scores are float32 from then on. With int8 the head computes in bfloat16.
    ///
    /// - Parameter precision: The precision of the products.
    func prepackWeights(_ precision: ComputeDType)
}

extension Tensor {
    /// One vector for each sequence, as `classifierPooling` of an encoder says.
    fileprivate func pooled(_ batch: PackedBatch, _ configuration: ModernBERTConfiguration) -> Tensor {
        pooled(batch, by: configuration.classifierPooling == .cls ? .cls : .mean)
    }
}

// MARK: -

/// A classifier of sequences.
///
/// An encoder pools its hidden states as `classifierPooling` says, then applies the prediction head; a decoder applies
/// the head to every token and takes the scores of the last one that is not padding.
///
/// > Source: transformers `ModernBertForSequenceClassification`, `ModernBertDecoderForSequenceClassification`.
public final class SequenceClassificationModel: Module, ClassifierModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForSequenceClassification" : "ModernBertDecoderForSequenceClassification"
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated configuration; `labelCount` classes.
    ///   - windowRule: How wide a decoder's local window is.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        head = ClassifierHead(configuration)
    }

    /// The logits of each sequence.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, none of them empty.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision of the transformer; the head computes in the type of its parameters.
    /// - Returns: `[sequences, labelCount]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let hidden = model(batch, training: training, precision: precision)
        let pooled =
            configuration.kind == .decoder
            ? hidden.selecting(lastTokens(batch).to(hidden.device)) : hidden.pooled(batch, configuration)
        // In bfloat16 the scores of sequences would tie.
        return head(precision == .full ? pooled : pooled.to(.float32), training: training, precision: precision)
    }

    package func prepackWeights(_ precision: ComputeDType) {
        head.prepackWeights(precision)
        model.prepackWeights(precision)
    }

    /// The row of the right-most token of each sequence that is not padding; its first row when all are.
    private func lastTokens(_ batch: PackedBatch) -> Tensor {
        let rows = (0..<batch.sequenceCount).map { sequence -> Int64 in
            let range = batch.range(of: sequence)
            guard let pad = configuration.padTokenID else { return Int64(range.upperBound - 1) }
            return Int64(range.last { batch.inputIDs[$0] != pad } ?? range.lowerBound)
        }
        return Tensor(rows)
    }
}

// MARK: -

/// A classifier of tokens, encoders only.
///
/// > Source: transformers `ModernBertForTokenClassification`.
public final class TokenClassificationModel: Module, ClassifierModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForTokenClassification" : nil
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated encoder configuration; `labelCount` classes.
    ///   - windowRule: Without effect on encoders.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        head = ClassifierHead(configuration)
    }

    /// The logits of each token.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[tokens, labelCount]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let hidden = model(batch, training: training, precision: precision)
        return head(hidden, training: training, precision: precision)
    }

    package func prepackWeights(_ precision: ComputeDType) {
        head.prepackWeights(precision)
        model.prepackWeights(precision)
    }
}

// MARK: -

/// Extractive question answering: each token's logits as start and as end of the answer, encoders only.
///
/// > Source: transformers `ModernBertForQuestionAnswering`.
public final class QuestionAnsweringModel: Module, ClassifierModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier of two outputs.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForQuestionAnswering" : nil
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated encoder configuration.
    ///   - windowRule: Without effect on encoders.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        // Two outputs whatever the labels say, so that a checkpoint of another number does not load.
        head = ClassifierHead(configuration, outputs: 2)
    }

    /// The logits of each token as start and end of the answer.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, question and context in one.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: Two tensors `[tokens]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> (start: Tensor, end: Tensor) {
        let columns = logits(batch, training: training, precision: precision).split(into: 2, along: 1)
            .map { $0.reshaped(-1) }
        return (columns[0], columns[1])
    }

    /// The logits of each token as start and end in one tensor, `[tokens, 2]`.
    package func logits(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let hidden = model(batch, training: training, precision: precision)
        return head(hidden, training: training, precision: precision)
    }

    package func prepackWeights(_ precision: ComputeDType) {
        head.prepackWeights(precision)
        model.prepackWeights(precision)
    }

    /// The mean of the cross-entropies of start and end, each over the tokens of its own sequence.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids.
    ///   - starts: The position of the answer's first token in each sequence; one beyond it does not count.
    ///   - ends: The position of the answer's last token in each sequence; one beyond it does not count.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: A scalar; NaN when no position counts.
    public func loss(
        _ batch: PackedBatch,
        starts: [Int],
        ends: [Int],
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let scores = self(batch, training: training, precision: precision)
        let parts = [(scores.start, starts), (scores.end, ends)].map { column, positions in
            let losses = (0..<batch.sequenceCount).compactMap { sequence -> Tensor? in
                let range = batch.range(of: sequence)
                let position = positions[sequence]
                guard (0..<range.count).contains(position) else { return nil }
                let logits = column.narrowed(along: 0, from: range.lowerBound, count: range.count).reshaped(1, -1)
                return logits.crossEntropy(Tensor([Int64(position)]).to(logits.device)).reshaped(1)
            }
            return losses.isEmpty ? Tensor.full([], .nan) : Tensor.concatenate(losses).mean()
        }
        return (parts[0] + parts[1]) / 2
    }
}

// MARK: -

/// A choice among answers: a score for each pair of prompt and choice, encoders only.
///
/// > Source: transformers `ModernBertForMultipleChoice`.
public final class MultipleChoiceModel: Module, ClassifierModel {
    /// The trunk.
    @Child("model") package var model: ModernBERT
    @Child("") var head: ClassifierHead

    /// A prediction head and a classifier of one output.
    public static let headNaming = HeadNaming.classifier

    /// The Python class that reads the model's checkpoints.
    public static func architecture(of kind: ModelKind) -> String? {
        kind == .encoder ? "ModernBertForMultipleChoice" : nil
    }

    /// The transformer without the head.
    public var trunk: ModernBERT { model }

    /// Creates a model with uninitialised parameters, to be loaded or initialised.
    ///
    /// - Parameters:
    ///   - configuration: A validated encoder configuration, whose labels have no effect.
    ///   - windowRule: Without effect on encoders.
    public init(_ configuration: ModernBERTConfiguration, windowRule: WindowRule = .transformers) {
        super.init()
        model = ModernBERT(configuration, windowRule: windowRule)
        head = ClassifierHead(configuration, outputs: 1)
    }

    /// The logit of each choice.
    ///
    /// - Parameters:
    ///   - batch: Sequences of token ids, a prompt with one of its choices in each.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: `[sequences]`, float32 where the precision is mixed.
    public func callAsFunction(
        _ batch: PackedBatch,
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        let hidden = model(batch, training: training, precision: precision)
        return head(hidden.pooled(batch, configuration), training: training, precision: precision).reshaped(-1)
    }

    package func prepackWeights(_ precision: ComputeDType) {
        head.prepackWeights(precision)
        model.prepackWeights(precision)
    }

    /// The mean cross-entropy of the right choices.
    ///
    /// - Parameters:
    ///   - batch: The choices of each prompt one after the other.
    ///   - choiceCount: Number of choices of every prompt.
    ///   - labels: The number of the right choice of each prompt, from 0.
    ///   - training: The dropout context of a training pass; nil for inference.
    ///   - precision: The precision to compute in.
    /// - Returns: A scalar.
    public func loss(
        _ batch: PackedBatch,
        choiceCount: Int,
        labels: [Int],
        training: DropoutContext? = nil,
        precision: Precision = .full
    ) -> Tensor {
        precondition(
            batch.sequenceCount == choiceCount * labels.count,
            "\(batch.sequenceCount) sequences for \(labels.count) prompts of \(choiceCount) choices"
        )
        let logits = self(batch, training: training, precision: precision).reshaped(-1, choiceCount)
        return logits.crossEntropy(Tensor(labels.map(Int64.init)).to(logits.device))
    }
}
