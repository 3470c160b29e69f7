import EttinInference
import EttinTables
import EttinTokenizer
import EttinTraining

/// Data sets as batches of token ids.
struct EmbeddingBatches {
    /// How texts become token ids.
    struct Reading {
        let preparer: TextEmbeddingPipeline.Preparer
        /// Whether texts that are too long lose their beginning.
        let truncatesLeft: Bool
        /// Whether the loss asks for the texts themselves.
        let keepsTexts: Bool
    }

    /// The data sets.
    let sets: [TrainingColumns]
    /// What makes batches of their rows.
    let sampling: BatchSampling
    private let reading: Reading

    /// Takes data sets.
    ///
    /// - Parameters:
    ///   - sets: The data sets.
    ///   - reading: How texts become token ids.
    ///   - options: How rows make batches.
    ///   - isSingle: Whether there is one data set, whose name does not count; nil for one without a name.
    /// - Throws: `TrainingError` for data that makes no batch; what reading it throws.
    init(
        _ sets: [TrainingColumns],
        _ reading: Reading,
        _ options: BatchSampling.Options,
        isSingle: Bool? = nil
    ) throws {
        self.sets = sets
        self.reading = reading
        sampling = try BatchSampling(
            sets,
            isSingle: isSingle ?? (sets.count == 1 && sets[0].dataset == nil),
            options: options
        )
    }

    /// The number of rows.
    var rowCount: Int { sets.reduce(0) { $0 + $1.rowCount } }

    /// Reads the rows of a batch.
    ///
    /// - Parameters:
    ///   - batch: The rows.
    ///   - step: The number of the batch, from 0.
    /// - Returns: The batch.
    /// - Throws: `TrainingError` naming file and row for an invalid text or label; what reading throws.
    func prepared(_ batch: EpochBatch, step: Int) throws -> PreparedLossBatch {
        let set = sets[batch.dataset]
        let texts = try set.texts(ofRows: batch.rows)
        let columns = try zip(texts, set.prompts).map { column, prompt in
            try reading.preparer.prepare(
                column,
                prompt: prompt.map { .text($0) } ?? .none,
                overlong: reading.truncatesLeft ? .keepEnd : .keepStart
            )
        }
        return PreparedLossBatch(
            columns: columns,
            labels: try set.labels(ofRows: batch.rows),
            texts: reading.keepsTexts
                ? texts.indices.map { shownTexts(texts[$0], prompt: set.prompts[$0] ?? "", columns[$0]) } : [],
            step: step
        )
    }

    /// Texts as a teacher is to see them: with prompts, and no more of them than the model itself reads.
    private func shownTexts(_ texts: [String], prompt: String, _ prepared: [PreparedText]) -> [String] {
        zip(texts, prepared).map { text, ids in
            ids.isTruncated
                ? reading.preparer.tokenizer.decode(ids.tokenIDs, skipSpecialTokens: true) : prompt + text
        }
    }
}
