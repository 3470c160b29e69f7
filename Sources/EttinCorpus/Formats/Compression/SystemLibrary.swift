#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A shared library of the system that is looked for when it is first needed.
///
/// Brotli and bzip2 are rare in data sets; a build should not ask for their headers.
struct SystemLibrary: @unchecked Sendable {
    // Unchecked: the handle is a constant and the library is never unloaded.
    private let handle: UnsafeMutableRawPointer

    /// Loads the first of several names that is there.
    init?(_ names: [String]) {
        guard let handle = names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else { return nil }
        self.handle = handle
    }

    /// A function of the library; its type is the caller's to know.
    func function<Function>(_ name: String, as _: Function.Type) -> Function? {
        dlsym(handle, name).map { unsafeBitCast($0, to: Function.self) }
    }

    /// The error for a library that is not there.
    static func missing(_ algorithm: Compression.Algorithm, package: String, file: String) -> CorpusError {
        CorpusError(
            .unsupported,
            file: file,
            found: "is compressed as \(algorithm.rawValue), and this system has no library for it",
            expected: "the shared library that \"apt-get install \(package)\" brings"
        )
    }
}
