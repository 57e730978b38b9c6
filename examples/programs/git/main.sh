set -eu
rm -rf out/poems out/copy
git init --quiet --initial-branch=main out/poems
echo "The first line" >out/poems/poem.txt
git -C out/poems add poem.txt
git -C out/poems commit --quiet --message "Begin a poem"
git clone --quiet out/poems out/copy
echo "The second line" >>out/copy/poem.txt
git -C out/copy commit --quiet --all --message "Go on"
git -C out/copy push --quiet origin HEAD:more
git -C out/poems merge --quiet more
git -C out/poems log --format="%an: %s"
git -C out/poems fsck --no-progress
