package import EttinFiles

extension HubError: FileProblem {
    /// The problem of a file as the Hub's.
    package init(_ error: FileError) {
        self = .file(path: error.file, reason: "it \(error.found)\(error.expected.map { ", expected \($0)" } ?? "")")
    }

    /// Calls `body` and throws its failures to list a folder as errors of this type.
    static func translatingListing<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as FileError {
            throw HubError.file(path: error.file, reason: "the folder \(error.found)")
        }
    }
}

extension FilePath {
    /// The names in a folder of the cache, sorted; empty if the folder does not exist.
    static func cachedNames(inFolder folder: String) throws -> [String] {
        guard kind(of: folder) == .folder else { return [] }
        return try HubError.translatingListing { try names(inFolder: folder) }
    }

    /// The paths of all files below a folder, with the Hub's errors.
    static func cachedFiles(below folder: String) throws -> [String] {
        try HubError.translatingListing { try filesBelow(folder) }
    }

    /// Makes a folder and those above it, with the Hub's errors.
    static func makeCacheFolder(_ path: String) throws {
        do {
            try makeFolder(path)
        } catch let error as FileError {
            throw HubError.file(path: path, reason: "the folder cannot be created (\(error.reason ?? error.found))")
        }
    }
}
