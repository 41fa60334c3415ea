// Search on pages opened from disk: browsers start no worker for a file, so
// that the script of the search runs in an invisible frame.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super()
    this.frame = document.createElement("iframe")
    this.frame.hidden = true
    document.body.append(this.frame)
    const inside = this.frame.contentWindow
    inside.importScripts = (...scripts) =>
      scripts.reduce((ready, script) => ready.then(() => this.run(script)), Promise.resolve())
    inside.postMessage = data =>
      this.dispatchEvent(new MessageEvent("message", { data }))
    this.ready = this.run(url)
  }

  run(url) {
    const script = this.frame.contentDocument.createElement("script")
    script.src = new URL(url, document.baseURI)
    this.frame.contentDocument.body.append(script)
    return new Promise((resolve, reject) => {
      script.onload = resolve
      script.onerror = reject
    })
  }

  postMessage(data) {
    this.ready.then(() =>
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
    )
  }

  terminate() {
    this.frame.remove()
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker
  window.Worker = IFrameWorker
}
