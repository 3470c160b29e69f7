import EttinFiles
import EttinInference
import EttinModel

/// The weights of a sparse model as vectors of full width, for what compares few texts at a time, and how many of them are
/// not 0.
final class WidenedVectors: TextVectors, LimitedVectors {
    private let model: any SparseTextVectors
    private let maxActiveDimensions: Int?
    private let groups: [String]
    private let group: (_ call: Int, _ role: TextRole?) -> Int
    private var callCount = 0
    /// The texts that were counted, where each counts once; nil where each counts as often as it is asked for.
    private var countedTexts: Set<ExactName>?
    private var counts: [(texts: Int, weights: Int)]

    /// Values of vectors that exist at a time, 64 MB.
    private static let maxValues = 1 << 24

    /// Wraps a model.
    ///
    /// - Parameters:
    ///   - model: What computes.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what the model says.
    ///   - countsTextsOnce: Whether a text that is asked for again is not counted again.
    ///   - groups: The names of the groups of texts whose weights are counted; an empty one is that of all.
    ///   - group: The number of the group of texts, by how often texts were asked for before and what they are.
    init(
        _ model: any SparseTextVectors,
        maxActiveDimensions: Int?,
        countsTextsOnce: Bool = false,
        groups: [String],
        group: @escaping (_ call: Int, _ role: TextRole?) -> Int
    ) {
        countedTexts = countsTextsOnce ? [] : nil
        self.model = model
        self.maxActiveDimensions = maxActiveDimensions
        self.groups = groups
        self.group = group
        counts = groups.map { _ in (0, 0) }
    }

    var similarity: EmbeddingSimilarity { model.similarity }
    var modelName: String { model.modelName }
    var textLimit: Int { max(1, Self.maxValues / max(1, model.dimensions)) }

    func vectors(
        of texts: [String],
        role: TextRole?,
        prompt: TextEmbeddingPipeline.Prompt,
        truncateDimension: Int?,
        normalize: Bool
    ) throws -> TextEmbeddings {
        guard truncateDimension == nil, !normalize else {
            throw EvaluationError(
                .invalidOption,
                file: "evaluator",
                item: truncateDimension == nil ? "precision" : "truncate_dim",
                found: "is set, which weights of a vocabulary do not have",
                expected: "max_active_dims, or nothing"
            )
        }
        let vectors = try model.vectors(
            of: texts,
            role: role,
            prompt: prompt,
            maxActiveDimensions: maxActiveDimensions
        )
        let place = group(callCount, role)
        callCount += 1
        for (text, vector) in zip(texts, vectors.vectors) {
            guard countedTexts?.insert(ExactName(text)).inserted != false else { continue }
            counts[place].texts += 1
            counts[place].weights += vector.count
        }
        return TextEmbeddings(
            values: vectors.vectors.flatMap { $0.widened(to: vectors.dimensions) },
            dimensions: vectors.dimensions,
            isTruncated: vectors.isTruncated
        )
    }

    /// How many weights are not 0 in each group.
    var sparsity: [Metric] {
        zip(groups, counts).flatMap { name, counts in
            let sparsity = Sparsity(texts: counts.texts, weights: counts.weights, dimensions: model.dimensions)
            return sparsity.metrics(prefix: name.isEmpty ? "" : name + "_")
        }
    }
}

/// How many weights of texts are not 0.
///
/// > Source: sentence-transformers 6.2, `SparseEncoder.sparsity`.
struct Sparsity {
    /// The mean number of weights of a text.
    let activeDimensions: Double
    /// The share of the vocabulary that is 0.
    let ratio: Double

    /// Counts.
    ///
    /// - Parameters:
    ///   - texts: The number of texts.
    ///   - weights: The number of weights of all texts.
    ///   - dimensions: The number of entries of the vocabulary.
    init(texts: Int, weights: Int, dimensions: Int) {
        // The mean of a float32 tensor, in the original.
        activeDimensions = texts == 0 ? 0 : Double(Float(weights) / Float(texts))
        ratio = dimensions == 0 ? 0 : 1 - activeDimensions / Double(dimensions)
    }

    /// The figures by their names.
    func metrics(prefix: String) -> [Metric] {
        [("\(prefix)active_dims", activeDimensions), ("\(prefix)sparsity_ratio", ratio)]
    }
}

/// A model whose vectors are so wide that few of them exist at a time.
protocol LimitedVectors {
    /// Maximum number of texts whose vectors exist at a time.
    var textLimit: Int { get }
}

extension TextVectors {
    /// How many texts to encode at a time.
    ///
    /// - Parameter usual: The number for vectors of the usual width.
    /// - Returns: The number, or less for a model whose vectors are wide.
    func textsAtOnce(_ usual: Int) -> Int { min(usual, (self as? any LimitedVectors)?.textLimit ?? usual) }
}
