import EttinFiles
import EttinInference
import EttinModel

/// The vectors of texts, computed in parts or kept from an earlier run.
///
/// A whole set is kept as `corpus_embeddings_HASH.npy` or `query_embeddings_HASH.npy`, which NumPy reads; a set that is
/// being computed as the same name with `.part`, from which a later run resumes.
struct MiningVectors {
    let model: any TextVectors
    /// Texts computed at a time; nil for as many as fill a batch of tokens.
    let batchSize: Int?
    let cache: MiningCache?

    /// Texts of a part, which a killed run has to compute again.
    private static let textsAtOnce = 2048

    /// Vectors with what they are the vectors of.
    struct Embedded {
        let embeddings: TextEmbeddings
        /// Tells these vectors from others; empty where nothing is kept.
        let identity: String
        /// How many texts were truncated, as far as they were computed in this run.
        let truncatedCount: Int
    }

    /// Embeds texts, and scales the vectors to length 1.
    ///
    /// - Parameters:
    ///   - texts: The texts; at least one.
    ///   - role: What they are to a search.
    ///   - prompt: What goes before each.
    ///   - progress: Receives how many are done.
    /// - Returns: The vectors.
    /// - Throws: What the model throws; ``EvaluationError`` for vectors that are not finite; that and `CheckpointError`
    ///   for those that cannot be kept or read.
    func embed(
        _ texts: [String],
        as role: TextRole,
        _ prompt: TextEmbeddingPipeline.Prompt,
        progress: (Int) -> Void
    ) throws -> Embedded {
        guard let cache else {
            let embeddings = try compute(texts, role, prompt, kept: nil, progress)
            return Embedded(
                embeddings: embeddings,
                identity: "",
                truncatedCount: embeddings.isTruncated.count { $0 }
            )
        }
        let identity = cache.identity(of: texts, role, prompt)
        let name = "\(role == .query ? "query" : "corpus")_embeddings"
        let path = cache.path("\(name)_\(identity).npy")
        if FilePath.exists(path) {
            let (values, shape) = try NumPyFile.readFloats(path)
            guard shape.count == 2, shape[0] == texts.count, shape[1] > 0 else {
                throw EvaluationError(
                    .malformed,
                    file: path,
                    found: "holds an array of shape \(shape)",
                    expected: "\(texts.count) rows; remove the file to compute them again"
                )
            }
            guard values.allSatisfy(\.isFinite) else {
                throw EvaluationError(
                    .malformed,
                    file: path,
                    found: "holds NaN or infinite numbers",
                    expected: "finite ones; remove the file to compute them again"
                )
            }
            // A killed run may have left its part.
            try cache.removeRecords(of: name, identity: identity)
            progress(texts.count)
            let embeddings = TextEmbeddings(
                values: values,
                dimensions: shape[1],
                isTruncated: [Bool](repeating: false, count: texts.count)
            )
            return Embedded(embeddings: embeddings, identity: identity, truncatedCount: 0)
        }
        let part = try cache.records(of: name, identity: identity)
        let embeddings = try compute(texts, role, prompt, kept: part, progress)
        let shape = [texts.count, embeddings.dimensions]
        try NumPyFile.write(embeddings.values, shape: shape, to: path)
        try cache.removeRecords(of: name, identity: identity)
        return Embedded(
            embeddings: embeddings,
            identity: identity,
            truncatedCount: embeddings.isTruncated.count { $0 }
        )
    }

    private func compute(
        _ texts: [String],
        _ role: TextRole,
        _ prompt: TextEmbeddingPipeline.Prompt,
        kept: RecordFile?,
        _ progress: (Int) -> Void
    ) throws -> TextEmbeddings {
        var values: [Float] = []
        var isTruncated: [Bool] = []
        var width = 0
        for start in stride(from: 0, to: texts.count, by: Self.textsAtOnce) {
            try Task.checkCancellation()
            let part = Array(texts[start..<min(texts.count, start + Self.textsAtOnce)])
            let vectors: TextEmbeddings
            if let record = try kept?.next() {
                vectors = try TextEmbeddings(record: record, count: part.count, path: kept?.path ?? "")
            } else {
                vectors = try self.vectors(part, role, prompt)
                // A search passes over what cannot be compared, and anchors would lack candidates.
                if let row = (0..<vectors.count).first(where: { !vectors[$0].allSatisfy(\.isFinite) }) {
                    throw EvaluationError(
                        .malformed,
                        file: model.modelName,
                        item: "the embedding of \(quoted(part[row], limit: 60))",
                        found: "has NaN or infinite numbers",
                        expected: "finite ones"
                    )
                }
                try kept?.append(vectors.record)
            }
            if values.isEmpty {
                width = vectors.dimensions
                values.reserveCapacity(texts.count * width)
            }
            values += vectors.values
            isTruncated += vectors.isTruncated
            progress(isTruncated.count)
        }
        return TextEmbeddings(values: values, dimensions: width, isTruncated: isTruncated)
    }

    /// The vectors of some texts, in batches of so many where that was asked for.
    private func vectors(
        _ texts: [String],
        _ role: TextRole,
        _ prompt: TextEmbeddingPipeline.Prompt
    ) throws -> TextEmbeddings {
        func vectors(_ texts: [String]) throws -> TextEmbeddings {
            try model.vectors(of: texts, role: role, prompt: prompt, truncateDimension: nil, normalize: true)
        }
        guard let batchSize, batchSize < texts.count else { return try vectors(texts) }
        // Texts of one length share a batch, as in the original.
        let order = texts.indices.sorted { (texts[$1].utf8.count, $0) < (texts[$0].utf8.count, $1) }
        var values: [Float] = []
        var isTruncated = [Bool](repeating: false, count: texts.count)
        var width = 0
        for start in stride(from: 0, to: order.count, by: batchSize) {
            let places = order[start..<min(order.count, start + batchSize)]
            let batch = try vectors(places.map { texts[$0] })
            if values.isEmpty {
                width = batch.dimensions
                values = [Float](repeating: 0, count: texts.count * width)
            }
            for (row, place) in places.enumerated() {
                values.replaceSubrange(place * width..<(place + 1) * width, with: batch[row])
                isTruncated[place] = batch.isTruncated[row]
            }
        }
        return TextEmbeddings(values: values, dimensions: width, isTruncated: isTruncated)
    }
}

extension TextEmbeddings {
    /// The vectors as a record: the width, whether each text was truncated, the values.
    fileprivate var record: [UInt8] {
        var bytes = withUnsafeBytes(of: Int64(dimensions).littleEndian) { Array($0) }
        bytes += isTruncated.map { $0 ? 1 : 0 }
        values.withUnsafeBytes { bytes += $0 }
        return bytes
    }

    /// Reads vectors back.
    fileprivate init(record: [UInt8], count: Int, path: String) throws {
        let headSize = MemoryLayout<Int64>.size + count
        let valueSize = record.count - headSize
        let width = valueSize < 0 ? 0 : Int(record.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }.littleEndian)
        guard width > 0, width.multiplied(checked: count * MemoryLayout<Float>.stride) == valueSize else {
            throw EvaluationError(
                .malformed,
                file: path,
                found: "holds other vectors than those of \(count) texts",
                expected: "what an earlier run wrote; remove the file to compute them again"
            )
        }
        let values = record.withUnsafeBytes { bytes in
            [Float](unsafeUninitializedCapacity: count * width) { buffer, filled in
                UnsafeMutableRawBufferPointer(buffer).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[headSize...])
                )
                filled = count * width
            }
        }
        self.init(
            values: values,
            dimensions: width,
            isTruncated: record[MemoryLayout<Int64>.size..<headSize].map { $0 != 0 }
        )
    }
}
