import EttinFiles
import EttinTraining

/// The prompts of training (`prompts`): for all columns, by column, by data set, or by both.
///
/// > Source: sentence-transformers, `SentenceTransformerTrainingArguments.prompts`.
package struct TrainingPrompts: Hashable, Sendable {
    /// What a name has.
    package enum Value: Hashable, Sendable {
        /// A prompt: of the column that is named, or of all columns of the data set that is.
        case prompt(String)
        /// The prompts of a data set by column.
        case columns([String: String])
    }

    /// The prompt of all columns; nil where there are names.
    private let common: String?
    private let named: [String: Value]

    /// No prompts.
    package static let none = TrainingPrompts(named: [:])

    /// One prompt for all columns of all data sets.
    ///
    /// - Parameter prompt: The prompt.
    package init(_ prompt: String) {
        common = prompt
        named = [:]
    }

    /// Prompts by name.
    ///
    /// - Parameter named: Of columns or of data sets.
    package init(named: [String: Value]) {
        common = nil
        self.named = named
    }

    /// The prompt of a column.
    ///
    /// - Parameters:
    ///   - column: Its name.
    ///   - dataset: The name of its data set; nil for the only one.
    /// - Returns: The prompt; nil for none.
    package func prompt(ofColumn column: String, in dataset: String?) -> String? {
        if let common { return common }
        switch dataset.flatMap({ named[$0] }) {
        case .prompt(let prompt)?: return prompt
        case .columns(let columns)?: return columns[column]
        case nil: break
        }
        guard !isByDataset, case .prompt(let prompt)? = named[column] else { return nil }
        return prompt
    }

    private var isByDataset: Bool {
        named.values.contains { if case .columns = $0 { true } else { false } }
    }

    /// Checks that every name is that of a column or a data set, so that no prompt is silently unused.
    ///
    /// - Parameter columns: The names of the columns of texts of each data set.
    /// - Throws: `TrainingError` naming the first one that is not.
    package func check(against columns: [(dataset: String?, columns: [String])]) throws {
        let datasets = columns.compactMap(\.dataset)
        let names = Set(columns.flatMap(\.columns))
        for (name, value) in named.sorted(by: { $0.key < $1.key }) {
            let isDataset = datasets.contains(name)
            let expected: [String]
            switch value {
            case .prompt:
                if isDataset || names.contains(name) && !isByDataset { continue }
                expected = datasets + (isByDataset ? [] : names.sorted())
            case .columns(let prompts):
                let known = columns.first { $0.dataset == name }?.columns
                guard let known else {
                    expected = datasets
                    break
                }
                guard let other = prompts.keys.sorted().first(where: { !known.contains($0) }) else { continue }
                throw TrainingError(
                    .invalidOption,
                    "prompts.\(name)",
                    found: "names the column \(quoted(other, limit: 80))",
                    expected: "one of \(listing(known))"
                )
            }
            throw TrainingError(
                .invalidOption,
                "prompts",
                found: "names \(quoted(name, limit: 80))",
                expected: expected.isEmpty ? "columns, because there is one data set" : "one of \(listing(expected))"
            )
        }
    }
}
