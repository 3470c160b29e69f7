// Finds the paragraphs of a folder of notes that are closest in meaning to a question.
//
//     swift run NoteSearch lightonai/DenseOn notes "What did we decide about tea?"

import Ettin
import Foundation

/// A paragraph and the note that it is in.
struct Passage {
    let file: String
    let text: String
}

func say(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

/// The paragraphs of all .md and .txt files below a folder.
func passages(in folder: URL) throws -> [Passage] {
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
    return files.filter { $0.hasSuffix(".md") || $0.hasSuffix(".txt") }.flatMap { file -> [Passage] in
        let content = FileManager.default.contents(atPath: folder.appending(path: file).path)
        guard let note = content.flatMap({ String(data: $0, encoding: .utf8) }) else {
            say("left out \(file), which is not a file of UTF-8 text\n")
            return []
        }
        let paragraphs = note.components(separatedBy: "\n\n").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
        return paragraphs.filter { !$0.isEmpty }.map { Passage(file: file, text: $0) }
    }
}

@main
struct NoteSearch {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4 else {
            print("usage: NoteSearch MODEL FOLDER QUESTION")
            exit(64)
        }
        // A folder, or a name on the Hub, which is downloaded once.
        let encoder = try await TextEncoder(arguments[1]) { progress in
            say("\r\(progress)" + (progress.fraction == 1 ? "\n" : ""))
        }
        let passages = try passages(in: URL(filePath: arguments[2]))
        let query = try await encoder.encode(arguments[3], task: .query, normalize: true)
        let texts = passages.map(\.text)
        let vectors = try await encoder.encode(texts, task: .document, normalize: true, overlong: .keepStart)
        let scores = passages.indices.map { index in zip(query, vectors[index]).reduce(0) { $0 + $1.0 * $1.1 } }
        for index in passages.indices.sorted(by: { scores[$0] > scores[$1] }).prefix(5) {
            print("\(scores[index])  \(passages[index].file)\n    \(passages[index].text.prefix(200))")
        }
    }
}
