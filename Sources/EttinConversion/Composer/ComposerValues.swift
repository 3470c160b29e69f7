import EttinFiles
import EttinJSON
import EttinModel
import Torch

/// Reads values of a training state by their names, and says by name what is missing or of another kind.
struct ComposerValues {
    let archive: PyTorchArchive
    /// What the file saved under `state`.
    let state: PickledValue

    init(path: String) throws {
        // Callbacks and metrics may be objects of any class; none is rebuilt, and where one stands in place of something
        // that is read here, it is refused by its name.
        archive = try PyTorchArchive(path: path, unknownNames: .kept)
        guard let state = archive.root["state"], state.entries != nil else {
            throw CheckpointError(
                .unsupported,
                file: path,
                item: "\"state\"",
                found: archive.root["state"].map { "is \($0.kind)" } ?? "is missing",
                expected: "a training state saved by Composer"
            )
        }
        self.state = state
    }

    func problem(_ item: String, _ found: String, _ expected: String) -> CheckpointError {
        CheckpointError(.malformed, file: archive.path, item: item, found: found, expected: expected)
    }

    /// A value under a key of a dictionary.
    func required(_ key: String, of value: PickledValue, _ place: String) throws -> PickledValue {
        guard let found = value[key] else {
            throw CheckpointError(.missing, file: archive.path, item: "\(place).\(key)", found: "is missing")
        }
        return found
    }

    /// A whole number.
    func integer(_ value: PickledValue, _ place: String) throws -> Int {
        guard let number = value.integer else { throw problem(place, "is \(value.kind)", "a whole number") }
        return number
    }

    /// A number, also one in a tensor of one element.
    func number(_ value: PickledValue, _ place: String) throws -> Double {
        if let number = value.double { return number }
        guard case .tensor(let tensor) = value, tensor.shape.allSatisfy({ $0 == 1 }) else {
            throw problem(place, "is \(value.kind)", "a number")
        }
        return try withRecovery { try archive.tensor(tensor).scalar() }
    }

    /// A step, which some optimizers keep in a tensor.
    func count(_ value: PickledValue, _ place: String) throws -> Int {
        let number = try number(value, place)
        guard let count = Int(exactly: number), (0...Int.largestCount).contains(count) else {
            throw problem(place, "is \(number)", "a step")
        }
        return count
    }

    /// A span of time in seconds: Python's `timedelta` of days, seconds and microseconds.
    func seconds(_ value: PickledValue, _ place: String) throws -> Double {
        if let number = value.double { return number }
        guard case .object(let object) = value, object.name == "datetime.timedelta",
            let days = object.arguments.first?.double
        else { throw problem(place, "is \(value.kind)", "a timedelta") }
        let rest = object.arguments.dropFirst().map { $0.double ?? 0 } + [0, 0]
        return days * 86400 + rest[0] + rest[1] / 1e6
    }

    /// A value that was read from a JSON file before it was saved.
    func json(_ value: PickledValue, _ place: String) throws -> JSONValue {
        switch value {
        case .none: return .null
        case .bool(let flag): return .bool(flag)
        case .integer(let number): return JSONValue(number)
        case .float(let number): return JSONValue(number)
        case .string(let text): return .string(text)
        case .list(let items), .tuple(let items): return .array(try items.map { try json($0, place) })
        case .dictionary(let entries):
            var object = JSONObject()
            for entry in entries {
                guard let key = entry.key.string else { throw problem(place, "has a key that is no text", "JSON") }
                object[key] = try json(entry.value, place)
            }
            return .object(object)
        case .bigInteger, .bytes, .set, .tensor, .storage, .dtype, .global, .object:
            throw problem(place, "holds \(value.kind)", "JSON")
        }
    }
}
