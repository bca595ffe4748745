workflow = {
  name = = "x",
}
