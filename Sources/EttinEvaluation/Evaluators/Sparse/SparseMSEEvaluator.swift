import EttinInference
import EttinJSON
import EttinModel
public import EttinTables

/// How far the weights of texts are from those that a teacher gives to the same texts or to others: −100 times the mean of
/// squared differences.
///
/// The teacher is asked once, and its weights are kept.
///
/// > Source: sentence-transformers 6.2, `SparseMSEEvaluator`.
public final class SparseMSEEvaluator: Evaluator {
    /// What the keys of metrics and the names of files have in them; empty for none.
    public let name: String
    /// The metric that one number for the model is: `negative_mse`.
    public let primaryMetric: String?
    /// What was measured last.
    public private(set) var reports: [EvaluationReport] = []
    private let targets: TextColumn
    private let teacherVectors: SparseEmbeddings
    private let maxActiveDimensions: Int?
    private let writesTable: Bool

    static let typeName = "SparseMSEEvaluator"

    /// Creates an evaluator, and asks the teacher.
    ///
    /// - Parameters:
    ///   - sourceSentences: The texts that the teacher reads.
    ///   - targetSentences: The texts that the model reads, as many.
    ///   - teacher: What gives the weights to be near to.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what each model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for columns of different lengths or none; what the teacher and the texts throw.
    public init(
        sourceSentences: TextColumn,
        targetSentences: TextColumn,
        teacher: any SparseTextVectors,
        name: String = "",
        maxActiveDimensions: Int? = nil,
        writesTable: Bool = true
    ) throws {
        try checkLengths(
            [sourceSentences.count, targetSentences.count],
            of: ["source_sentences", "target_sentences"],
            in: Self.typeName
        )
        try checkSparse(maxActiveDimensions, in: Self.typeName)
        if writesTable { try checkFileName(name, in: Self.typeName) }
        targets = targetSentences
        teacherVectors = try Self.vectors(sourceSentences, teacher, maxActiveDimensions)
        self.name = name
        self.maxActiveDimensions = maxActiveDimensions
        self.writesTable = writesTable
        primaryMetric = named("negative_mse", by: name)
    }

    /// Creates an evaluator of the first two columns of a table, or of the only one.
    ///
    /// - Parameters:
    ///   - table: The texts that the teacher reads, and those that the model reads, which stay where they are.
    ///   - teacher: What gives the weights to be near to.
    ///   - name: What the keys of metrics and the names of files have in them.
    ///   - maxActiveDimensions: Maximum number of weights per text; nil for what each model says.
    ///   - writesTable: Whether to write a table (CSV).
    /// - Throws: ``EvaluationError`` for a table without columns of texts, or without rows; what the teacher throws.
    public convenience init(
        _ table: any TextTable,
        teacher: any SparseTextVectors,
        name: String = "",
        maxActiveDimensions: Int? = nil,
        writesTable: Bool = true
    ) throws {
        let names = table.columnNames.count > 1 ? ["source_sentences", "target_sentences"] : ["source_sentences"]
        let columns = try TableColumns(table).texts(names, in: Self.typeName)
        try self.init(
            sourceSentences: columns[0],
            targetSentences: columns[columns.count - 1],
            teacher: teacher,
            name: name,
            maxActiveDimensions: maxActiveDimensions,
            writesTable: writesTable
        )
    }

    private static func vectors(
        _ texts: TextColumn,
        _ model: any SparseTextVectors,
        _ maxActiveDimensions: Int?
    ) throws -> SparseEmbeddings {
        try model.vectors(
            of: texts(0..<texts.count),
            role: nil,
            prompt: .default,
            maxActiveDimensions: maxActiveDimensions
        )
    }

    /// Measures.
    ///
    /// - Parameters:
    ///   - model: The model.
    ///   - place: Where the run is, and where to write a line of a table; nil to write nothing.
    /// - Returns: The metrics, each with the name of the evaluator in front.
    /// - Throws: `TableError` or ``EvaluationError`` for a text that cannot be read, ``EvaluationError`` for a teacher of
    ///   another vocabulary and a table that cannot be written, what the model throws.
    public func evaluate(_ model: any SparseTextVectors, at place: EvaluationPlace? = nil) throws -> [Metric] {
        guard teacherVectors.dimensions == model.dimensions else {
            throw EvaluationError(
                .invalidOption,
                file: Self.typeName,
                item: "teacher_model",
                found: "has a vocabulary of \(teacherVectors.dimensions) entries",
                expected: "\(model.dimensions), as \(model.modelName) has"
            )
        }
        let vectors = try Self.vectors(targets, model, maxActiveDimensions)
        var sum = 0.0
        for (one, other) in zip(vectors.vectors, teacherVectors.vectors) { sum += one.squaredDistance(to: other) }
        let error = sum / (Double(vectors.count) * Double(vectors.dimensions)) * 100
        let sparsity = Sparsity(
            texts: vectors.count,
            weights: vectors.vectors.reduce(0) { $0 + $1.count },
            dimensions: vectors.dimensions
        ).metrics(prefix: "")
        if writesTable {
            try EvaluationTable(file: "mse_evaluation_\(name)_results.csv", columns: ["MSE"] + sparsity.map(\.key))
                .append([error] + sparsity.map(\.value), at: place)
        }
        let metrics = ([("negative_mse", -error)] + sparsity).named(by: name)
        reports = [
            EvaluationReport(
                evaluator: Self.typeName,
                description: "Knowledge Distillation",
                name: name,
                primaryMetric: named("negative_mse", by: name),
                metrics: metrics,
                settings: sparseSettings(maxActiveDimensions)
            )
        ]
        return metrics
    }
}

extension SparseVector {
    /// The sum of squared differences, in double precision.
    fileprivate func squaredDistance(to other: SparseVector) -> Double {
        let distance = Double(similarity(to: other, by: .euclidean))
        return distance * distance
    }
}
