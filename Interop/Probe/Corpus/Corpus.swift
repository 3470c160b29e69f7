// Runs the corpus library from outside, for the comparisons with the Python libraries in Interop/test_corpus.py
// and test_parquet.py.

import EttinCorpus
import EttinJSON

func runCorpus(_ arguments: [String]) throws {
    switch (arguments.first, arguments.count) {
    case ("list", 2): try listSamples(arguments[1])
    case ("rewrite", 4): try rewrite(arguments[1], to: arguments[2], options: arguments[3])
    case ("merge", 2): try MDSIndex.merge(folder: arguments[1])
    case ("verify", 2...4): try verify(Array(arguments.dropFirst()))
    case ("tokenize", 2): try tokenize(JSONValue(parsing: arguments[1]))
    case ("chunk", 2): try chunk(JSONValue(parsing: arguments[1]))
    case ("documents", 4): try listDocuments(arguments[1], arguments[2], arguments[3])
    case ("mix", 2): try mix(JSONValue(parsing: arguments[1]))
    case ("inspect", 2): print(try Inspection(MDSDataset(folder: arguments[1], decompression: .intoMemory)).json)
    case ("streams", 3...): try listStreams(Array(arguments.dropFirst()))
    case ("parquet", 2...): try listRows(Array(arguments.dropFirst()))
    case ("parquet-columns", 2): try listColumns(arguments[1])
    default:
        endWithUsage(
            """
            usage: ettin-probe corpus list FOLDER | rewrite FOLDER FOLDER OPTIONS | merge FOLDER
                   | verify FOLDER [COLUMN [VOCABULARY]] | streams SAMPLES FOLDER=PROPORTION...
                   | parquet FILE [COLUMN...] | parquet-columns FILE
                   | tokenize OPTIONS | chunk OPTIONS | mix OPTIONS | inspect FOLDER
                   | documents PATH TEXT-FIELD ID-FIELD
            """
        )
    }
}
