import EttinTables

enum FineTuningData {
    static func table(_ reference: String) throws -> any TextTable { try TableOpening.open(reference) }
}
