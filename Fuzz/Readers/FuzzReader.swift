import EttinCorpus
import EttinFiles
import EttinHub
import EttinJSON
import EttinModel
import EttinRecipes
import EttinTables
import EttinTemplates
import EttinTokenizer
import EttinTraining
import Torch

/// A promise that a reader broke without trapping.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func unless(_ condition: Bool, _ description: String) throws {
        if !condition { throw BrokenPromise(description) }
    }
}

/// A reader with a way to make its inputs.
package struct FuzzReader: Sendable {
    package let name: String
    /// What the input makes, such as `model.safetensors`; a folder where empty.
    let make: @Sendable (inout Dice) throws -> FuzzInput
    /// Reads what lies in a folder; throws the reader's own errors, or ``BrokenPromise``.
    let read: @Sendable (_ input: FuzzInput, _ folder: String) throws -> Void
    /// Whether the files must be on the disk.
    var usesFiles = true
    /// Whether what an earlier run left in the folder would change the next one.
    var leavesFiles = false
    /// How many times the input's size it may take in memory; more than 10 where its documentation says so.
    var memoryFactor = 10

    /// The input of a run; the same for the same seed and number.
    package func input(seed: UInt64, run: Int) throws -> FuzzInput {
        var dice = Dice(seed: seed, run: run)
        return try make(&dice)
    }

    /// How an input was answered.
    package enum Outcome: Sendable, Hashable {
        case accepted
        /// Refused, by the message without what is particular to the input.
        case refused(String)
        /// Neither.
        case broken(String)
    }

    /// Reads an input.
    package func outcome(of input: FuzzInput, in folder: String) throws -> Outcome {
        if leavesFiles { try FilePath.removeTree(folder) }
        if usesFiles { try input.write(below: folder) }
        do {
            try read(input, folder)
            return .accepted
        } catch {
            guard Self.isRefusal(error) else { return .broken("\(type(of: error)): \(error)") }
            let text = "\(error)"
            guard !text.isEmpty, !text.utf8.contains(0) else {
                return .broken("an error without a readable message: \(text.debugDescription)")
            }
            return .refused(Self.messageClass(text, folder: folder))
        }
    }

    private static func isRefusal(_ error: any Error) -> Bool {
        error is CheckpointError || error is TrainingError || error is CorpusError || error is TableError
            || error is TokenizerError || error is TemplateError
            || error is JSONError || error is HubError || error is RecipeError || error is FileError
            || error is TorchError || error is StateDictionaryError
    }

    /// The message without quoted texts, numbers and paths.
    private static func messageClass(_ text: String, folder: String) -> String {
        var result = ""
        var isQuoted = false
        for character in text.replacing(folder, with: "").prefix(400) {
            if character == "\"" {
                isQuoted.toggle()
                if isQuoted { result += "…" }
            } else if isQuoted || character == "\n" {
                continue
            } else if character.isNumber || character == "-" {
                if result.last != "#" { result.append("#") }
            } else {
                result.append(character)
            }
        }
        return String(result.prefix(110))
    }

    /// All of them.
    package static let all: [FuzzReader] =
        [json, tokenizer, text, template] + weights + models + [recipe, mixture, suite, sweep] + corpus + rowTables
        + runs
        + [hubCache, hubListing]

    package static func named(_ name: String) -> FuzzReader? { all.first { $0.name == name } }
}
