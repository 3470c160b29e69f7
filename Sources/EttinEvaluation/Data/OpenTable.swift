import EttinTables

func openTable(_ files: [String]) throws -> any TextTable {
    throw EvaluationError(.unsupported, file: files.joined(separator: ", "), found: "is not read yet")
}

extension TextTable { var name: String { place(ofRow: 0) } }
extension TableValue {
    var kindText: String {
        switch self {
        case .null: "null"
        case .text: "a text"
        case .integer: "a whole number"
        case .real: "a number"
        case .boolean: "a Boolean"
        case .list: "a list"
        }
    }
}
