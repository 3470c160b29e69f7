// swift-tools-version: 6.2
import PackageDescription

// Depends on Ettin by version, as Examples/Embedder does.
let ettin: Package.Dependency =
    if let url = Context.environment["ETTIN_PACKAGE_URL"] {
        .package(url: url, from: "0.1.0")
    } else {
        .package(name: "ettin-swift", path: "../..")
    }

let package = Package(
    name: "NoteSearch",
    platforms: [.macOS(.v15)],
    dependencies: [ettin],
    targets: [
        .executableTarget(name: "NoteSearch", dependencies: [.product(name: "Ettin", package: "ettin-swift")])
    ]
)
