// swift-tools-version: 6.2
import PackageDescription

// An application that depends on Ettin by version, as any package of yours would. Without ETTIN_PACKAGE_URL it takes
// the checkout that it lies in.
let ettin: Package.Dependency =
    if let url = Context.environment["ETTIN_PACKAGE_URL"] {
        .package(url: url, from: "0.1.0")
    } else {
        .package(name: "ettin-swift", path: "../..")
    }

let package = Package(
    name: "Embedder",
    platforms: [.macOS(.v15)],
    dependencies: [ettin],
    targets: [
        .executableTarget(name: "Embedder", dependencies: [.product(name: "Ettin", package: "ettin-swift")])
    ]
)
