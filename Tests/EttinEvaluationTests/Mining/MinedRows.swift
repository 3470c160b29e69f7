import EttinEvaluation
import EttinInference
import EttinJSON
import EttinTables
import EttinTokenizer

/// Pairs of texts, as a table.
func pairTable(_ rows: [(String, String)], names: [String] = ["question", "answer"]) -> ValueTable {
    ValueTable(names, rows.map { [.text($0.0), .text($0.1)] })
}

/// The rows that were mined, with scores to six digits.
func rows(_ mined: MinedNegatives) -> [[JSONValue]] {
    var rows: [[JSONValue]] = []
    mined.forEachRow { rows.append($0.map(json)) }
    return rows
}

private func json(_ value: TableValue) -> JSONValue {
    switch value {
    case .null: .null
    case .text(let text): .string(text)
    case .integer(let number): JSONValue(number)
    case .real(let number): JSONValue((number * 1e6).rounded() / 1e6)
    case .boolean(let value): .bool(value)
    case .list(let values): .array(values.map(json))
    }
}

/// A cross-encoder that a closure stands in for.
struct ClosureScores: PairScores {
    let modelName = "closure"
    private let body: ([TextPair]) throws -> [Float]

    init(_ body: @escaping ([TextPair]) throws -> [Float]) { self.body = body }

    func pairScores(of pairs: [TextPair], prompt: RerankingPipeline.Prompt) throws -> [Double] {
        try body(pairs).map { Double($0) }
    }
}
