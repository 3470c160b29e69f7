import EttinTables

/// Data sets for commands of fine-tuning: files, folders, and names on the Hub.
enum FineTuningData {
    /// Opens the table of references.
    static func table(_ references: [String]) throws -> TableView { try TableOpening().open(references) }
}
