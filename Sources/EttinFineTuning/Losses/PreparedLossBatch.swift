package import EttinInference

/// A batch as the model and the loss read it.
package struct PreparedLossBatch: Sendable {
    /// The texts of each column as token ids, row by row.
    package var columns: [[PreparedText]]
    /// The number of rows.
    package var rowCount: Int
    /// The number of texts in each row of each column; empty where each has one.
    package var listCounts: [[Int]]
    /// The labels; nil for a data set without.
    package var labels: LossLabels?
    /// The texts of each column, with prompts and as far as the model reads them, where the loss reads them; see
    /// ``EmbeddingObjective/readsTexts``.
    package var texts: [[String]]
    /// The number of the batch in the run, from 0; of evaluation, in the evaluation.
    package var step: Int
    /// The label of each token of the texts of the first column, -100 for none; empty for labels of rows.
    package var targets: [[Int32]] = []

    /// Creates a batch.
    ///
    /// - Parameters:
    ///   - columns: The texts of each column as token ids, row by row.
    ///   - labels: The labels; nil for a data set without.
    ///   - texts: The texts of each column, with prompts, where the loss reads them.
    ///   - step: The number of the batch in the run, from 0.
    ///   - rowCount: The number of rows; nil for that of the first column's texts.
    ///   - listCounts: The number of texts in each row of each column; empty where each has one.
    package init(
        columns: [[PreparedText]],
        labels: LossLabels? = nil,
        texts: [[String]] = [],
        step: Int = 0,
        rowCount: Int? = nil,
        listCounts: [[Int]] = []
    ) {
        self.columns = columns
        self.rowCount = rowCount ?? columns.first?.count ?? 0
        self.listCounts = listCounts
        self.labels = labels
        self.texts = texts
        self.step = step
    }

    /// The number of texts of all columns.
    package var textCount: Int { columns.reduce(0) { $0 + $1.count } }

    /// The number of tokens of all columns.
    package var tokenCount: Int { columns.reduce(0) { $1.reduce($0) { $0 + $1.tokenIDs.count } } }
}
