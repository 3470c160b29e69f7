import EttinCorpus
import EttinJSON

/// Prints the rows of a Parquet file as lines of JSON: all columns, or those that are named.
func listRows(_ arguments: [String]) throws {
    let file = try ParquetFile(path: arguments[0])
    let names = arguments.count > 1 ? Array(arguments.dropFirst()) : file.fields
    let options = JSONWritingOptions(writesNonFiniteNumbers: true)
    var rows = try file.rows(of: names)
    while let values = try rows.next() { print(JSONValue.array(values.map(\.json)).text(options)) }
}

/// Prints the paths of all columns of a Parquet file with their types.
func listColumns(_ path: String) throws {
    for column in try ParquetFile(path: path).columns {
        let line: JSONValue = [
            "path": .string(column.path), "type": .string(column.type), "text": .bool(column.isText),
        ]
        print(line)
    }
}
