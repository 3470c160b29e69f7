// Runs the file layer from outside, for the comparisons with the Python libraries in Interop/test_files.py.

import EttinJSON
import EttinModel

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#endif

private func store(_ path: String, _ unknownNames: PyTorchArchive.UnknownNames = .refused) throws -> TensorStore {
    var status = stat()
    let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    return isFolder ? try TensorStore.open(folder: path) : try TensorStore.open(file: path, unknownNames: unknownNames)
}

/// Prints each tensor of a file or folder as one line of JSON, with its values in hexadecimal digits.
private func list(_ path: String, _ unknownNames: PyTorchArchive.UnknownNames) throws {
    let store = try store(path, unknownNames)
    for name in store.names {
        guard let tensor = store.descriptor(name) else { continue }
        let line: JSONValue = [
            "name": .string(name),
            "dtype": .string(tensor.dtype.rawValue),
            "shape": .array(tensor.shape.map { JSONValue($0) }),
            "file": .string(tensor.file),
            "bytes": .string(try store.withBytes(name) { hexadecimal($0) }),
        ]
        print(line)
    }
}

private func tensors(_ path: String) throws -> [TensorToWrite] {
    let store = try store(path)
    return try store.names.map { try TensorToWrite(copying: $0, from: store) }
}

private func configuration(_ input: String, _ output: String, _ format: String) throws {
    let configuration = try ModernBERTConfiguration(folder: input)
    try configuration.write(toFolder: output, format: format == "4" ? .version4 : .version5)
}

func runFiles(_ arguments: [String]) throws {
    switch (arguments.first, arguments.count) {
    case ("list", 2): try list(arguments[1], .refused)
    case ("list-state", 2): try list(arguments[1], .kept)
    case ("rewrite", 3): try SafetensorsWriter.write(tensors(arguments[1]), to: arguments[2])
    case ("shard", 4):
        let size = try ShardSize(arguments[3])
        try ShardedSafetensorsWriter.write(tensors(arguments[1]), toFolder: arguments[2], shardSize: size)
    case ("config", 4): try configuration(arguments[1], arguments[2], arguments[3])
    case ("ettin", 4):
        guard let model = EttinSuite.model(named: arguments[1]) else { throw CheckpointError([]) }
        try ModernBERTConfiguration.ettin(size: model.size, kind: model.kind)
            .write(toFolder: arguments[2], format: arguments[3] == "4" ? .version4 : .version5)
    case ("generation", 3):
        try GenerationConfiguration.read(folder: arguments[1])?.write(toFolder: arguments[2])
    default:
        endWithUsage(
            """
            usage: ettin-probe files list PATH | list-state PATH | rewrite PATH FILE | shard PATH FOLDER SIZE
                   | config FOLDER FOLDER 4|5 | ettin MODEL FOLDER 4|5 | generation FOLDER FOLDER
            """
        )
    }
}
