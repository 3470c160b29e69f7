public import EttinInference
import EttinTables

/// Measures finished models on the validation data of a task.
public struct GLUEMeasurement: Sendable {
    /// The task.
    public let task: GLUETask
    /// What is odd about the data, a sentence each.
    public let notices: [String]
    private let parts: [(part: GLUEPart, table: GLUETable)]

    /// Takes the data of each validation part.
    ///
    /// - Parameters:
    ///   - task: The task.
    ///   - parts: Opens the data of a part.
    /// - Throws: ``EvaluationError`` for a part without rows; what `parts` throws.
    public init(_ task: GLUETask, parts: (GLUEPart) throws -> GLUETable) throws {
        self.task = task
        self.parts = try task.validationParts.map { part in
            let table = try parts(part)
            try checkLengths([table.rowCount], of: [part.rawValue], in: table.name)
            return (part, table)
        }
        notices = self.parts.flatMap { $0.table.notices(as: $0.part) }
    }

    /// Measures a model.
    ///
    /// - Parameters:
    ///   - model: A classifier of the task's classes, or a model with one score for regression.
    ///   - maxLength: Maximum number of tokens of a text or pair; longer ones are truncated, the longer text first.
    ///   - maxBatchTokens: Maximum number of tokens per batch.
    /// - Returns: The scores of each part, those of the task's metrics and Pearson's beside Spearman's, and how many texts
    ///   were truncated.
    /// - Throws: ``EvaluationError`` for a model of other classes; what reading texts and the model throw.
    public func callAsFunction(
        _ model: TextClassificationPipeline,
        maxLength: Int = 256,
        maxBatchTokens: Int = defaultMaxBatchTokens
    ) throws -> (scores: [GLUEScore], truncatedCount: Int) {
        let order = try classes(of: model)
        let preparer = model.preparer.limited(to: maxLength)
        var scores: [GLUEScore] = []
        var truncatedCount = 0
        for (part, table) in parts {
            var logits: [[Float]] = []
            var labels: [Double] = []
            for begin in stride(from: 0, to: table.rowCount, by: Self.blockSize) {
                let rows = try (begin..<min(begin + Self.blockSize, table.rowCount)).map(table.example)
                let texts = try preparer.prepare(rows.map(\.input), overlong: .keepStart)
                truncatedCount += texts.count(where: \.isTruncated)
                logits += try model.logits(of: texts, maxBatchTokens: maxBatchTokens)
                labels += rows.map(\.label)
            }
            scores += try measured(logits, labels, order).map { GLUEScore(part: part, metric: $0, value: $1) }
        }
        return (scores, truncatedCount)
    }

    private static let blockSize = 4096

    /// The place of each class of the task among the model's logits.
    private func classes(of model: TextClassificationPipeline) throws -> [Int] {
        let labels = model.labels
        let expected = task.isRegression ? 1 : task.labelNames.count
        guard labels.count == expected else {
            throw EvaluationError(
                .unsupported,
                file: "the model",
                found: "has \(labels.count) labels",
                expected: "\(expected), as \(task.title) has them"
            )
        }
        // Models may have the classes in another order, or no names for them.
        let named = task.labelNames.map { name in labels.firstIndex { $0.lowercased() == name } }
        let places = named.compactMap(\.self)
        return places.count == labels.count ? places : Array(0..<labels.count)
    }

    private func measured(
        _ logits: [[Float]],
        _ labels: [Double],
        _ order: [Int]
    ) throws -> [(metric: GLUEMetric, value: Double)] {
        if task.isRegression {
            let found = try RegressionScores(predictions: logits.map { Double($0[0]) }, labels: labels)
            return [(.spearman, found.spearman), (.pearson, found.pearson)]
        }
        let scores = logits.map { row in order.map { Double(row[$0]) } }
        let found = try ClassificationScores(scores: scores, labels: labels.map { Int($0) })
        return task.metrics.map { metric in
            let value =
                switch metric {
                case .f1: found.f1(ofClass: 1)
                case .matthewsCorrelation: found.matthewsCorrelation
                case .accuracy, .pearson, .spearman: found.accuracy
                }
            return (metric, value)
        }
    }
}

extension GLUETable {
    /// What is odd about the rows of a part: rows that were left out, another number than GLUE has.
    ///
    /// - Parameter part: The part that they are.
    /// - Returns: A sentence each.
    package func notices(as part: GLUEPart) -> [String] {
        var notices: [String] = []
        if incompleteCount > 0 {
            notices.append("\(name): \(incompleteCount) rows lack a value and are left out")
        }
        if let whole = task.rowCount(of: part), whole != rowCount {
            notices.append("\(name): has \(rowCount) rows, where the \(part.split) split of \(task.title) has \(whole)")
        }
        return notices
    }

    /// A row as a model reads it.
    fileprivate func example(_ row: Int) throws -> (input: TextClassificationPipeline.Input, label: Double) {
        let values = try values(row: row, columns: Array(columnNames.indices))
        let texts = values.dropLast().map(\.pythonText)
        let label: Double =
            switch values[values.count - 1] {
            case .integer(let number): Double(number)
            case .real(let number): number
            case .null, .text, .boolean, .list: .nan
            }
        return (TextClassificationPipeline.Input(texts[0], textPair: texts.count > 1 ? texts[1] : nil), label)
    }
}
