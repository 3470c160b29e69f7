// Runs one pipeline in one process for the text rows of Benchmarks/compare, from texts to results.
//
//   ettin-probe bench FOLDER rerank|late|sparse|tag|maxsim DTYPE THREADS
//
// Answers each line of standard input with {"seconds": […]}, and with {"outputs": [[values]]} where it is asked for:
//
//   {"op": "rerank", "pairs": [["query", "document"]], "repeat": n, "outputs": true}
//   {"op": "late"|"sparse"|"tag", "texts": ["…"], …}
//   {"op": "maxsim", "count": n, …}     a query against so many documents of the folder, float32
//   {"op": "memory"}                    {"peak_memory_bytes": n}, the peak since the last such line
//
// Texts are cut at the model's length. Outputs are the score of a pair or an entity, the vectors of a document, the
// weights of the vocabulary, or the scores of documents.

import EttinInference
import EttinJSON
import EttinModel
import Torch

enum TextTask: String {
    case rerank
    case late
    case sparse
    case tag
    case maxsim
}

/// A pipeline as the benchmark asks it: a request in, a vector for each input out.
struct TextRunner {
    let task: TextTask
    private let work: (JSONValue) throws -> [[Float]]

    init(folder: String, task: TextTask, dtype: ComputeDType) throws {
        self.task = task
        let options = ComputeOptions(dtype: dtype)
        switch task {
        case .rerank:
            let pipeline = try RerankingPipeline(folder: folder, options: options)
            work = { request in
                try pipeline.predict(try Self.pairs(request), overlong: .keepStart).map { [Float($0.value)] }
            }
        case .late:
            let pipeline = try LateInteractionPipeline(folder: folder, options: options)
            work = { request in
                let rows = try pipeline.encode(try Self.texts(request), overlong: .keepStart)
                return (0..<rows.count).map { Array(rows[$0]) }
            }
        case .sparse:
            let pipeline = try SparseEmbeddingPipeline(folder: folder, options: options)
            work = { request in
                let rows = try pipeline.encode(try Self.texts(request), as: .document, overlong: .keepStart)
                guard request["outputs"] != nil else { return [] }
                return rows.vectors.map { vector in
                    var values = [Float](repeating: 0, count: rows.dimensions)
                    for (index, value) in zip(vector.indices, vector.values) { values[Int(index)] = value }
                    return values
                }
            }
        case .tag:
            let pipeline = try TokenClassificationPipeline(folder: folder, options: options)
            work = { request in
                try pipeline(try Self.texts(request), overlong: .keepStart).map { $0.entities.map { Float($0.score) } }
            }
        case .maxsim:
            guard dtype == .float32 else { throw ProbeError("no MaxSim in \(dtype.rawValue)") }
            let query = try Self.vectors("\(folder)/query.safetensors")
            let documents = try Self.vectors("\(folder)/documents.safetensors")
            work = { request in
                guard request["count"]?.intValue == documents.count else {
                    throw ProbeError("\"count\" is not \(documents.count), the number of documents in the folder")
                }
                return query.maxSim(documents)
            }
        }
    }

    func answer(_ request: JSONValue) throws -> JSONValue {
        switch request["op"]?.stringValue {
        case task.rawValue:
            let (seconds, last) = try timed(request) { try work(request) }
            guard request["outputs"] != nil else { return ["seconds": seconds] }
            let outputs = (last ?? []).map { row in JSONValue.array(row.map { JSONValue(Double($0)) }) }
            return ["seconds": seconds, "outputs": .array(outputs)]
        case "memory": return peakMemory()
        default: throw ProbeError("unknown operation; see the head of Interop/Probe/BenchTexts.swift")
        }
    }

    private static func texts(_ request: JSONValue) throws -> [String] {
        guard let texts = request["texts"]?.arrayValue?.compactMap(\.stringValue), !texts.isEmpty else {
            throw ProbeError("\"texts\" holds no texts")
        }
        return texts
    }

    private static func pairs(_ request: JSONValue) throws -> [TextPair] {
        let pairs = request["pairs"]?.arrayValue?.compactMap { pair -> TextPair? in
            guard let texts = pair.arrayValue?.compactMap(\.stringValue), texts.count == 2 else { return nil }
            return TextPair(texts[0], texts[1])
        }
        guard let pairs, !pairs.isEmpty else { throw ProbeError("\"pairs\" holds no pairs") }
        return pairs
    }

    private static func vectors(_ path: String) throws -> MultiVectorEmbeddings {
        let stored = try TensorStore.open(file: path).stateDictionary()
        func tensor(_ name: String) throws -> Tensor {
            guard let tensor = stored.first(where: { $0.key == name })?.tensor else {
                throw ProbeError("\(path) holds no \"\(name)\"")
            }
            return tensor
        }
        let (embeddings, lengths) = (try tensor("embeddings"), try tensor("lengths"))
        let counts: [Int64] = try lengths.array()
        return MultiVectorEmbeddings(
            values: try embeddings.array(),
            dimensions: embeddings.size(1),
            lengths: counts.map { Int($0) }
        )
    }
}
