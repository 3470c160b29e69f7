import ArgumentParser
import EttinInference
import EttinJSON
import EttinModel

extension Embed {
    /// Encodes with a model that gives a vector for each token.
    ///
    /// - Parameter folder: A multi-vector model.
    /// - Throws: `ValidationError` for options that do not apply; what loading, encoding and writing throw.
    func runMultiVector(_ folder: String) throws {
        let others = [
            ("pooling", pooling != nil), ("truncate-dim", truncateDim != nil), ("precision", precision != .float32),
        ]
        for (name, isGiven) in others where isGiven {
            throw ValidationError(
                "--\(name) applies to models with one vector for each text; \(model.model) is a multi-vector model"
            )
        }
        if let output, let format = EmbeddingFileFormat(path: output) {
            try MultiVectorEmbeddings.check(format, of: output)
        }
        let texts = try input.all()
        let encoder = try LateInteractionPipeline(folder: folder, options: compute.prepare())
        encoder.notices.forEach(Diagnostics.note)
        let embeddings = try encoder.encode(
            texts,
            as: task ?? .document,
            prompt: prompt.map { .text($0) } ?? promptName.map { .named($0) } ?? .default,
            normalize: normalize,
            // Means of vectors of length 1 are shorter; sentence-transformers scales them by default, PyLate does not.
            pooling: TokenPooling(
                factor: poolFactor ?? 1,
                normalizes: poolFactor != nil
                    && (normalize || encoder.model.settings.layout == .sentenceTransformers)
            ),
            overlong: truncation.rule(for: encoder.tokenizer),
            maxBatchTokens: batches.maxBatchTokens
        )
        truncation.report(embeddings.isTruncated)
        guard let output, let format = EmbeddingFileFormat(path: output) else {
            return try StandardOutput.write { output in
                for index in 0..<embeddings.count { try output.line(utf8: embeddings.jsonLine(index)) }
            }
        }
        try embeddings.write(to: output, format: format)
        let rows = embeddings.lengths.reduce(0, +)
        Diagnostics.note(
            "wrote \(rows) vectors of \(embeddings.count) texts with \(embeddings.dimensions) dimensions to \(output)"
        )
        if json.isOn {
            try StandardOutput.write(document: [
                "output": .string(output),
                "count": JSONValue(embeddings.count),
                "dimensions": JSONValue(embeddings.dimensions),
                "lengths": .array(embeddings.lengths.map { JSONValue($0) }),
                "truncated": .array(embeddings.isTruncated.map(JSONValue.bool)),
            ])
        }
    }
}
