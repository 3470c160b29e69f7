// Feeds damaged checkpoint files and configurations to the readers.
//
//     FuzzSafetensors [seconds] [seed] [folder]
//
// A reader must answer every input with a value or a `CheckpointError`, quickly and without a crash. What is accepted
// must also survive being written and read again. The input at work is `input` in the folder, so after a crash it is
// the culprit; inputs that break a promise are kept as `found-…`.

import EttinJSON
import EttinModel

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

struct BrokenPromise: Error {
    let reason: String
}

/// The kinds of inputs, each with its way to make one and to read it.
enum Target: Int, CaseIterable {
    case safetensors, safetensorsHeader, archive, pickle, legacy, configuration, index, generation

    func input(_ dice: inout Dice) -> [UInt8] {
        let seed = dice.below(Seeds.safetensorsHeaders.count)
        let header = Array(Seeds.safetensorsHeaders[seed].utf8)
        let data = Seeds.safetensorsData[seed]
        let other = Array(dice.pick(Seeds.safetensorsHeaders).utf8)
        let pickle = dice.pick(Seeds.pickles)
        let otherPickle = dice.pick(Seeds.pickles)
        switch self {
        case .safetensors:
            return Mutator.mutated(Seeds.safetensors(header: header, data: data), other: other, &dice)
        case .safetensorsHeader:
            let mutated = Mutator.mutated(header, other: other, &dice)
            return Seeds.safetensors(header: mutated, data: data)
        case .archive:
            return Mutator.mutated(Seeds.archive(pickle), other: Seeds.archive(otherPickle), &dice)
        case .pickle: return Seeds.archive(Mutator.mutated(pickle, other: otherPickle, &dice))
        case .legacy:
            return dice.below(2) == 0
                ? Seeds.legacy(Mutator.mutated(pickle, other: otherPickle, &dice))
                : Mutator.mutated(Seeds.legacy(pickle), other: otherPickle, &dice)
        case .configuration:
            let text = Array(dice.pick(Seeds.configurations).utf8)
            return Mutator.mutated(text, other: Array(dice.pick(Seeds.configurations).utf8), &dice)
        case .index: return Mutator.mutated(Array(Seeds.index.utf8), other: header, &dice)
        case .generation: return Mutator.mutated(Array(Seeds.generation.utf8), other: header, &dice)
        }
    }

    func read(_ bytes: [UInt8], folder: String) throws {
        switch self {
        case .safetensors, .safetensorsHeader, .archive, .pickle, .legacy:
            // The two policies take turns by the input's length.
            try readTensors(folder: folder, unknownNames: bytes.count.isMultiple(of: 2) ? .refused : .kept)
        case .configuration:
            let configuration = try ModernBERTConfiguration(json: bytes)
            _ = configuration.parameterCount
            let again = try ModernBERTConfiguration(json: configuration.serialized(.version5))
            try require(again.parameterCount == configuration.parameterCount, "a configuration changed when rewritten")
            try require(again.layerTypes == configuration.layerTypes, "layers changed when rewritten")
            try require(
                again.labels ?? [] == configuration.labels ?? [] || configuration.labels?.count == 2,
                "labels changed"
            )
        case .index: _ = try TensorStore.open(folder: folder + "/indexed")
        case .generation:
            guard let value = try? JSONValue(parsing: bytes).objectValue else { return }
            let first = try GenerationConfiguration(value)
            let second = try GenerationConfiguration(first.json)
            try require(second.json == first.json, "a generation configuration changed when rewritten")
        }
    }

    private func readTensors(folder: String, unknownNames: PyTorchArchive.UnknownNames) throws {
        let store = try TensorStore.open(file: folder + "/input", unknownNames: unknownNames)
        var sum: UInt64 = 0
        for name in store.names {
            guard let tensor = store.descriptor(name) else { throw BrokenPromise(reason: "a listed tensor is missing") }
            do {
                try store.withBytes(name) { bytes in
                    try require(bytes.count == tensor.byteCount, "a tensor's size is not its descriptor's")
                    for byte in bytes { sum &+= UInt64(byte) }
                }
            } catch is CheckpointError {
                // A view that repeats its storage out of proportion is refused only here.
                return
            }
        }
        let copy = folder + "/copy.safetensors"
        let safeNames = store.names.filter { $0 != "__metadata__" }
        try SafetensorsWriter.write(safeNames.map { try TensorToWrite(copying: $0, from: store) }, to: copy)
        let again = try TensorStore.open(file: copy)
        try require(Set(again.names) == Set(safeNames), "names changed when rewritten")
        for name in safeNames {
            let equal = try store.withBytes(name) { first in
                try again.withBytes(name) { second in first.elementsEqual(second) }
            }
            try require(equal, "values changed when rewritten")
        }
    }

    private func require(_ condition: Bool, _ reason: String) throws {
        if !condition { throw BrokenPromise(reason: reason) }
    }
}

func save(_ bytes: [UInt8], to path: String) {
    guard let file = fopen(path, "wb") else { return }
    _ = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    fclose(file)
}

func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

let arguments = CommandLine.arguments
let limit = arguments.count > 1 ? Double(arguments[1]) ?? 60 : 60
let seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
let folder = arguments.count > 3 ? arguments[3] : "fuzz-files"
mkdir(folder, 0o755)
mkdir(folder + "/indexed", 0o755)
save(
    Seeds.safetensors(header: Array(Seeds.safetensorsHeaders[0].utf8), data: 24),
    to: folder + "/indexed/m.safetensors"
)

var dice = Dice(seed: seed)
var counts = [Int](repeating: 0, count: Target.allCases.count)
var accepted = counts
var slowest = 0.0
var found = 0
let start = seconds()
while seconds() - start < limit {
    let target = dice.pick(Target.allCases)
    let bytes = target.input(&dice)
    save(bytes, to: target == .index ? folder + "/indexed/model.safetensors.index.json" : folder + "/input")
    let began = seconds()
    do {
        try target.read(bytes, folder: folder)
        accepted[target.rawValue] += 1
    } catch let error as CheckpointError {
        if error.problems.isEmpty || error.description.isEmpty || error.description.utf8.contains(0) {
            found += 1
            save(bytes, to: folder + "/found-\(target)-\(found)")
            print("found-\(target)-\(found): an error without a readable message")
        }
    } catch {
        found += 1
        save(bytes, to: folder + "/found-\(target)-\(found)")
        print("found-\(target)-\(found): \(error)")
    }
    let took = seconds() - began
    if took > slowest {
        slowest = took
        save(bytes, to: folder + "/slowest")
    }
    counts[target.rawValue] += 1
}
for target in Target.allCases {
    print("\(target): \(counts[target.rawValue]) inputs, \(accepted[target.rawValue]) accepted")
}
print(
    "\(counts.reduce(0, +)) inputs in \(Int(seconds() - start)) s, seed \(seed), slowest \(slowest) s, \(found) found"
)
exit(found == 0 ? 0 : 1)
