import EttinFiles

/// What a reader is given: one file, or the files of a folder by their names.
package struct FuzzInput: Sendable {
    package var files: [(name: String, bytes: [UInt8])]

    init(_ files: [(name: String, bytes: [UInt8])]) { self.files = files }

    init(_ name: String, _ bytes: [UInt8]) { files = [(name, bytes)] }

    package var byteCount: Int { files.reduce(0) { $0 + $1.bytes.count } }

    var first: [UInt8] { files.first?.bytes ?? [] }

    subscript(name: String) -> [UInt8] {
        get { files.first { $0.name == name }?.bytes ?? [] }
        set {
            if let place = files.firstIndex(where: { $0.name == name }) {
                files[place].bytes = newValue
            } else {
                files.append((name, newValue))
            }
        }
    }

    // MARK: - Seeds on the disk

    /// Each file as a line with name and length and its bytes.
    package var serialized: [UInt8] {
        files.flatMap { Array("\($0.bytes.count) \($0.name)\n".utf8) + $0.bytes }
    }

    /// Reads what ``serialized`` gives; nil for anything else.
    package init?(serialized bytes: [UInt8]) {
        var files: [(name: String, bytes: [UInt8])] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")), let space = rest.firstIndex(of: UInt8(ascii: " ")),
                space < end, let count = Int(String(decoding: rest[..<space], as: UTF8.self)), count >= 0,
                count <= rest.endIndex - end - 1
            else { return nil }
            let name = String(decoding: rest[(space + 1)..<end], as: UTF8.self)
            files.append((name, Array(rest[(end + 1)..<(end + 1 + count)])))
            rest = rest[(end + 1 + count)...]
        }
        self.init(files)
    }

    /// Writes the files below a folder.
    func write(below folder: String) throws {
        var made: Set<String> = []
        for (name, bytes) in files {
            let path = FilePath.joined(folder, name)
            let parent = FilePath.folder(of: path)
            if made.insert(parent).inserted { try FilePath.makeFolder(parent) }
            let file = try OpenFile(path, .update)
            try file.truncate(to: 0)
            try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        }
    }
}
