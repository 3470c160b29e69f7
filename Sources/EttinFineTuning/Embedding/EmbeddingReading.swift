import EttinInference
import EttinTokenizer
import EttinTraining

/// How rows of texts become token ids of an embedding model.
struct EmbeddingReading {
    let preparer: TextEmbeddingPipeline.Preparer
    /// Whether texts that are too long lose their beginning.
    let truncatesLeft: Bool
    /// Whether the loss asks for the texts themselves.
    let keepsTexts: Bool

    /// Reads rows.
    ///
    /// - Parameters:
    ///   - rows: The numbers of the rows.
    ///   - set: The data set.
    ///   - step: The number of the batch, from 0.
    /// - Returns: The batch.
    /// - Throws: `TrainingError` naming file and row for an invalid text or label; what reading throws.
    func prepared(_ rows: [Int], of set: TrainingColumns, step: Int) throws -> PreparedLossBatch {
        let texts = try set.texts(ofRows: rows)
        let columns = try zip(texts, set.prompts).map { column, prompt in
            try preparer.prepare(
                column,
                prompt: prompt.map { .text($0) } ?? .none,
                overlong: truncatesLeft ? .keepEnd : .keepStart
            )
        }
        return PreparedLossBatch(
            columns: columns,
            labels: try set.labels(ofRows: rows),
            texts: keepsTexts
                ? texts.indices.map { shownTexts(texts[$0], prompt: set.prompts[$0] ?? "", columns[$0]) } : [],
            step: step
        )
    }

    /// Texts as a teacher is to see them: with prompts, and no more of them than the model itself reads.
    private func shownTexts(_ texts: [String], prompt: String, _ prepared: [PreparedText]) -> [String] {
        zip(texts, prepared).map { text, ids in
            ids.isTruncated
                ? preparer.tokenizer.decode(ids.tokenIDs, skipSpecialTokens: true) : prompt + text
        }
    }
}
